"""From photographs to a set of aligned faces: `prepare`, and `Aligner` for single pictures.

```
Photographs ──▶ FaceDetector ──▶ recipe_corners ──▶ cut_out ──▶ measure ──▶ WorkJournal ──▶ decide ──▶ zip or shards
 folder, zip     boxes and        FFHQ's square      crop       quality    on disk         duplicates  manifest, sheet
 or tar          68 landmarks                                    and hash                   and splits
```
The left part is done by worker processes, photograph by photograph, and can be interrupted; the right part is a
function of the journal's content, so the bytes do not depend on the number of workers or interruptions.
"""

from hsc.data.prepare.aligner import Aligner
from hsc.data.prepare.run import Report, prepare
from hsc.data.prepare.settings import Settings

__all__ = ["Aligner", "Report", "Settings", "prepare"]
