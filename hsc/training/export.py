"""Export finished stages as files for use: a prior, which is a generator, and a codec."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hsc import codec_file
from hsc.checkpoints import load_generator, save_generator
from hsc.checkpoints.storage import as_stored
from hsc.codec import Codec
from hsc.config import Config, StageConfig
from hsc.data.module import FaceDataModule
from hsc.data.sets import first_set
from hsc.files import json_hash, sha256
from hsc.modules.codec import CodecModule
from hsc.training.judge_independence import trained_by
from hsc.training.stage import data_module
from hsc.training.stage_identity import code_hash
from hsc.training.weights import load_start

FACES_WEIGHED = 100


@dataclass(frozen=True)
class Export:
    """A finished stage's weights as a file for use: a codec if the stage quantises, else a prior."""

    config: Config
    stage: str
    weights: Path

    @cached_property
    def key(self) -> str:
        """Hash of everything that the file is made from."""
        data = self._data
        faces = data.faces("validation" if self._settings.quantises else "train").pictures_key
        return json_hash([sha256(self.weights), code_hash(), faces, self.config.name, self._card])

    def write(self, path: Path) -> None:
        if self._settings.quantises:
            self._write_codec(path)
        else:
            small = self._settings.module == "image_head"
            save_generator(path, load_generator(self.weights), self._card, small)

    @property
    def _settings(self) -> StageConfig:
        return self.config.stages[self.stage]

    @cached_property
    def _data(self) -> FaceDataModule:
        return data_module(self.config, self.stage, landmarks=False)

    @cached_property
    def _card(self) -> dict[str, Any]:
        trained_on = {name: len(faces) for name, faces in self._data.faces("train").sets.items()}
        card = {"title": self.config.title, **trained_by(self.config), "trained_on": trained_on}
        if self._settings.quantises:
            card |= {"data": first_set(self._settings.data.path), "validation": self._settings.data.validation}
        return card

    def _write_codec(self, path: Path) -> None:
        """The stage's networks as a codec file, whose card also holds the mean bytes of a face at each quality."""
        module = CodecModule(self.config, self._settings, {})
        load_start(module, self.weights)
        module = as_stored(module).eval()  # so that the model id and the bytes measured here are the file's own
        codec = Codec.export(self.config.model, module.networks(), module.entropy.net, self.config.name)
        faces = self._data.dataset("validation")
        images: Tensor = faces[list(range(min(FACES_WEIGHED, len(faces))))]["image"]
        with torch.inference_mode():
            latents = codec.analyse(images)
        weighed = [
            sum(map(len, codec.encode(latents, quality).files)) / len(images) for quality in range(codec.num_qualities)
        ]
        card = self._card | {"bytes_per_face": [round(size, 1) for size in weighed]}
        codec_file.save(path, codec, module.entropy.net, card)
