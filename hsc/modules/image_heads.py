"""Image heads in training: small sizes of a large generator, distilled from its images.

```
W+ of a generated face ─┬─ large generator, once, averaged to `size` ──▶ picture (the data set)
                        └─ trunk up to size/2 ─ image head ────────────▶ image ──▶ L1, LPIPS, …
```
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hsc.config import Config, StageConfig
from hsc.losses import Loss
from hsc.modules.base import TrainableModule, output_without_rate
from hsc.modules.rate_distortion import Compared
from hsc.nets.build import build_generator
from hsc.nets.mobile_stylegan import OWN_LAYERS
from hsc.validation_output import CodecOutput


class ImageHeadModule(TrainableModule):
    """Trains a generator of a smaller size to make the area-averaged pictures of a larger one from the same W+.

    Fine detail comes from layers that the smaller generator lacks, so its last layers ("generator") are trained with
    its image head ("image_head"); the earlier ones stay unchanged, and can therefore be shared between sizes.
    Batches carry `styles` [N, rows, w_dim], as `hsc data sample` writes them.
    """

    def __init__(self, config: Config, stage: StageConfig, losses: Mapping[str, Loss], samples_before: int = 0) -> None:
        super().__init__(config, stage, losses, samples_before)
        self.decoder = nn.ModuleDict({"generator": build_generator(config.model)})
        self.freeze_untrained()
        self.to(memory_format=torch.channels_last)

    @property
    def generator(self) -> Any:
        return self.decoder["generator"]

    def parts(self) -> Mapping[str, nn.Module]:
        synthesis = self.generator.synthesis_network
        return {"image_head": synthesis.heads, "generator": synthesis.layers[-OWN_LAYERS:]}

    def networks_to_compile(self) -> list[nn.Module]:
        return [self.generator.synthesis_network]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        images = self.generator.synthesis(batch["styles"]).float()
        faces = Compared(self._last_layer, 1.0, images, batch["image"], batch.get("landmarks"))
        total, parts = self.objective.distortion([faces])
        if (means := self.end_micro_batch(parts | {"objective": total.detach()})) is not None:
            self.end_step(means)
        return total

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> CodecOutput:  # type: ignore[override]
        """The generator's images, as the last layer's images; there is no file and hence no rate."""
        images = self.generator.synthesis(batch["styles"]).float()
        return output_without_rate(batch["image"], batch["name"], self._last_layer, images)

    @property
    def _last_layer(self) -> str:
        return self.layer_names[-1]
