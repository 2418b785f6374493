"""From finished stages to files people use: a prior (generator, encoder, heads) and a codec."""

from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from hsc import codec_file
from hsc.checkpoints import weights_file
from hsc.codec import Codec
from hsc.config import Config, StageConfig
from hsc.data.module import FaceDataModule
from hsc.modules.codec import CodecModule
from hsc.training.weights import load_start

FACES_WEIGHED = 100
PRIOR_PARTS = ("encoder.", "decoder.heads.", "decoder.generator.")


def write_prior(path: Path, config: Config, weights: Path) -> None:
    """The generator with the encoder and heads that invert it, as float16: where codecs are trained from."""
    held = weights_file.load(weights).tensors
    tensors = {name: value.half() for name, value in held.items() if name.startswith(PRIOR_PARTS)}
    weights_file.save(path, tensors, "prior", asdict(config.model), {"title": config.title})


def write_codec(path: Path, config: Config, stage: StageConfig, weights: Path, data: FaceDataModule) -> Codec:
    """Export a stage's networks as a codec file, whose card holds the mean bytes of a face at each quality."""
    module = CodecModule(config, stage, {})
    load_start(module, weights)
    module.eval()
    codec = Codec.export(config.model, module.networks(), module.entropy.net, config.name)
    faces = data.dataset("validation")
    images: Tensor = faces[list(range(min(FACES_WEIGHED, len(faces))))]["image"]
    weighed = [sum(map(len, codec.compress(images, quality))) / len(images) for quality in range(codec.num_qualities)]
    card = {
        "title": config.title,
        "bytes_per_face": [round(size, 1) for size in weighed],
        "trained_on": stage.data.path,
    }
    codec_file.save(path, codec, module.entropy.net, card)
    return codec
