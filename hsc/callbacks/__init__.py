"""Lightning callbacks that measure, show and document a codec; each uses the output of `validation_step`.

They work with every LightningModule whose `validation_step` (and `test_step`) returns a
`hsc.validation_output.CodecOutput`, with any logger or none. If the module has a number `samples_seen`, it is logged
with every value, as the x-axis.
"""

import hsc.compat  # noqa: F401  isort: skip  torchvision beside CPU torch, before Lightning and torchmetrics import it
from hsc.callbacks.best import BestValueCallback
from hsc.callbacks.distribution import FIDCallback, GeneratedFacesCallback
from hsc.callbacks.judges import IdentityAccuracyCallback, LandmarkErrorCallback, PerceptualCallback
from hsc.callbacks.provenance import ProvenanceCallback
from hsc.callbacks.rate import BppCallback, SymbolStatisticsCallback
from hsc.callbacks.samples import SampleGridCallback
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
