"""MobileStyleGAN is imported from its author's files exactly and completely, and nothing but weights is accepted."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import author_mobile_stylegan as author
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from hsc import files
from hsc.checkpoints import export_generator, import_generator, load_generator, openvino
from hsc.errors import HscError
from hsc.nets.generator import Generator
from hsc.nets.mobile_stylegan import MobileStyleGAN

STUDENT, MAPPING, NOISE = author.random_student(), author.random_mapping(), author.random_noise()
FILES = author.exported_mapping(MAPPING).files(), author.exported_synthesis(STUDENT, NOISE).files()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return author.write_package(tmp_path / "faces-1.whl", *FILES)


def assert_draws(generator: Generator, noise: dict[str, Tensor]) -> None:
    assert isinstance(generator, MobileStyleGAN)
    random = torch.Generator().manual_seed(3)
    z = torch.randn(3, author.W_DIM, generator=random)
    ws = torch.randn(1, 16, author.W_DIM, generator=random)
    with torch.no_grad():
        torch.testing.assert_close(generator.mapping(z)[:, 0], author.draw_w(MAPPING, z), atol=1e-4, rtol=1e-4)
        expected = author.draw(STUDENT, noise, ws)
        error = (generator.synthesis(ws) - expected).abs().max() / expected.std()
    assert error < 1e-4


def test_exported_networks(package: Path, tmp_path: Path) -> None:
    assert_draws(load_generator(package), NOISE)
    said = import_generator(package, tmp_path / "prior.safetensors")
    assert said.startswith("MobileStyleGAN 1024×1024, 16 rows of 8, 2 mapping layers, channels 4/4/4/4/4/4/4/4, from")
    assert_draws(load_generator(tmp_path / "prior.safetensors"), NOISE)


@pytest.mark.parametrize("form", ["Lightning", "two state dicts"])
def test_checkpoints_of_the_author(tmp_path: Path, form: str) -> None:
    content: dict = {"student": STUDENT, "mapping_net": MAPPING}
    if form == "Lightning":
        flat = {f"{part}.{key}": value for part, state in content.items() for key, value in state.items()}
        content = {"state_dict": flat | {"loss.weight": torch.zeros(3)}, "epoch": 3}
    torch.save(content, tmp_path / "mobile.ckpt")
    generator = load_generator(tmp_path / "mobile.ckpt")
    own = {key: generator.get_buffer(f"synthesis_network.{key}.noise")[None, None] for key in author.CONVOLUTIONS}
    assert_draws(generator, own)
    strength = STUDENT["layers.6.conv2.noise.weight"]
    torch.testing.assert_close(own["layers.6.conv2"].std(), strength.abs()[0], rtol=0.01, atol=0)


def test_of_the_author_without_a_style_for_up_sampling(tmp_path: Path) -> None:
    student = {key: value for key, value in STUDENT.items() if ".up." not in key}
    torch.save({"student": student, "mapping_net": MAPPING}, tmp_path / "mobile.ckpt")
    with pytest.raises(HscError, match="whose upsampling has no style"):
        load_generator(tmp_path / "mobile.ckpt")


def test_of_the_author_incomplete(tmp_path: Path) -> None:
    for lacking in ("layers.3.conv2.conv.weight_dw", "layers.6.to_img.bias", "conv1.noise.weight"):
        student = {key: value for key, value in STUDENT.items() if key != lacking}
        torch.save({"student": student, "mapping_net": MAPPING}, tmp_path / "mobile.ckpt")
        with pytest.raises(HscError, match="without some of its tensors"):
            load_generator(tmp_path / "mobile.ckpt")


def test_no_other_layout_holds_one(package: Path, tmp_path: Path) -> None:
    with pytest.raises(HscError, match="a MobileStyleGAN; other projects' layouts hold StyleGAN2 only"):
        export_generator(package, tmp_path / "out.pt", "rosinality")


def _replaced(old: bytes, new: bytes) -> Callable[[bytes, bytes], tuple[bytes, bytes]]:
    def spoil(description: bytes, constants: bytes) -> tuple[bytes, bytes]:
        assert old in description
        return description.replace(old, new, 1), constants

    return spoil


DECLARED = b'<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa">]><net name="&a;"'


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda xml, raw: (xml, raw[:-1]), "truncated or damaged description"),
        (lambda xml, raw: (xml[:-9], raw), "truncated or damaged description"),
        (_replaced(b'<net name="SynthesisNetwork"', DECLARED), "declares a document type"),
        (_replaced(b'offset="0"', b'offset="-4"'), "truncated or damaged description"),
        (_replaced(b'offset="0"', b'offset="99999999"'), "truncated or damaged description"),
        (_replaced(b'shape="1, 4, 4, 4"', b'shape="1, 4, 4, 40000000000"'), "truncated or damaged description"),
        (_replaced(b'type="Const"', b'type="Constant"'), "truncated or damaged description|not MobileStyleGAN's"),
        (_replaced(b'name="m.layers.3.conv2.bias"', b'name="m.layers.9.conv2.bias"'), "not MobileStyleGAN's synthesis"),
        (lambda xml, raw: (xml, raw.replace(np.float32(0.2).tobytes(), np.float32(0.3).tobytes())), "another network"),
        (lambda xml, raw: (xml, raw.replace(np.float32(0.5**0.5).tobytes(), np.float32(0.9).tobytes())), "another net"),
        (lambda xml, raw: (xml, np.full(len(raw) // 4, np.nan, "f4").tobytes()), "truncated or damaged description"),
    ],
)
def test_damaged_and_other_networks(tmp_path: Path, spoil: Callable, message: str) -> None:
    package = author.write_package(tmp_path / "faces-1.whl", FILES[0], spoil(*FILES[1]))
    with pytest.raises(HscError, match=message) as refusal:
        load_generator(package)
    assert "\n" not in str(refusal.value)
    assert "SynthesisNetwork" in str(refusal.value)


def test_a_constant_more(tmp_path: Path) -> None:
    """A file with a tensor that is not part of the network is refused."""
    graph = author.exported_synthesis(STUDENT, NOISE)
    graph.layer("Multiply", graph.constant(torch.ones(2, 3), "hidden"))
    package = author.write_package(tmp_path / "faces-1.whl", FILES[0], graph.files())
    with pytest.raises(HscError, match="'hidden' is no part of a MobileStyleGAN"):
        load_generator(package)


def test_packages_without_all_files(tmp_path: Path) -> None:
    path = tmp_path / "faces-1.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("SynthesisNetwork.xml", FILES[1][0])
    with pytest.raises(HscError, match=r"holds no MappingNetwork\.xml"):
        load_generator(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("something.txt", b"else")
    with pytest.raises(HscError, match=r"faces-1\.whl: ") as refusal:
        load_generator(path)
    assert "\n" not in str(refusal.value)


def test_members_that_unpack_to_more_than_a_network(tmp_path: Path) -> None:
    path = tmp_path / "faces-1.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("MappingNetwork.xml", b" " * (17 * 2**20))
    with pytest.raises(HscError, match=r"MappingNetwork\.xml is larger than 16 MB"):
        load_generator(path)


SMALL = author.exported_mapping(MAPPING).files()


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_descriptions(data: st.DataObject) -> None:
    """Whichever bytes change, the result is a network or an error of one line."""
    description, constants = (bytearray(part) for part in SMALL)
    for part in (description, constants):
        for _ in range(data.draw(st.integers(0, 3))):
            part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
        if data.draw(st.booleans()):
            del part[data.draw(st.integers(0, len(part))) :]
    try:
        openvino.read(bytes(description), bytes(constants), "mutated")
    except HscError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message


@settings(suppress_health_check=list(HealthCheck))
@given(st.data())
def test_mutated_packages(tmp_path: Path, data: st.DataObject) -> None:
    path = author.write_package(tmp_path / "faces-1.whl", *(author.exported_mapping(MAPPING).files(),) * 2)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with pytest.raises(HscError) as refusal:
        load_generator(path)
    assert "\n" not in str(refusal.value)


def test_golden_values_of_ffhq(shared_dir: Path) -> None:
    """The same image as from the exported network in OpenVINO's own runtime."""
    weights = files.weights_dir() / "ffhq1024.safetensors"
    if not weights.is_file():
        pytest.skip("ffhq1024 is not fetched")
    golden = np.load(shared_dir / "fixtures" / "mobilestylegan-ffhq-golden.npz")
    generator = load_generator(weights)
    row, column = golden["crop_origin"]
    with torch.no_grad():
        w = generator.mapping(torch.from_numpy(golden["z"]))[:, 0]
        image = generator.synthesis(torch.from_numpy(golden["w"][:1, None]).expand(-1, 16, -1))
    np.testing.assert_allclose(w, golden["w"], atol=1e-4, rtol=0)
    crop = image[0, :, row : row + 128, column : column + 128]
    np.testing.assert_allclose(crop, golden["crop"][0], atol=1e-4, rtol=0)
