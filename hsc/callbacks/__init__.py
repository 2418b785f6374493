"""Lightning callbacks that measure, show and document a codec; each reads what `validation_step` returns.

They serve every LightningModule whose `validation_step` (and `test_step`) returns a
`hsc.validation_output.CodecOutput`, with any logger or none. A module with a number `samples_seen` has it logged beside
every value, as the x-axis.
"""

import hsc.compat  # noqa: F401  isort: skip  torchvision beside CPU torch, before Lightning and torchmetrics import it
from hsc.callbacks.best import BestValueCallback
from hsc.callbacks.bpp import BppCallback
from hsc.callbacks.fid import FIDCallback
from hsc.callbacks.generated import GeneratedFacesCallback
from hsc.callbacks.identity import IdentityAccuracyCallback
from hsc.callbacks.landmarks import LandmarkErrorCallback
from hsc.callbacks.perceptual import PerceptualCallback
from hsc.callbacks.provenance import ProvenanceCallback
from hsc.callbacks.samples import SampleGridCallback
from hsc.callbacks.symbols import SymbolStatisticsCallback
from hsc.callbacks.tables import WandbTableCallback

__all__ = [
    "BestValueCallback",
    "BppCallback",
    "FIDCallback",
    "GeneratedFacesCallback",
    "IdentityAccuracyCallback",
    "LandmarkErrorCallback",
    "PerceptualCallback",
    "ProvenanceCallback",
    "SampleGridCallback",
    "SymbolStatisticsCallback",
    "WandbTableCallback",
]
