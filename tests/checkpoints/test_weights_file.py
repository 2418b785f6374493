"""hsc's weights files are read back exactly as written; other files are refused with a one-line reason."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from hsc.checkpoints import weights_file
from hsc.errors import HscError

CONFIG = {"size": 64, "bands": [3, 4, 3], "name": "λ"}
CARD = {"licence": "CC0-1.0"}


def _tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(5, 3, generator=generator)
    return {
        "weight": weight,
        "tied": weight,
        "turned": weight.T,
        "half": weight.bfloat16(),
        "counts": torch.arange(7, dtype=torch.int64),
        "scalar": torch.tensor(0.25),
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    weights_file.save(tmp_path / "w.safetensors", _tensors(), "generator", CONFIG, CARD)
    return tmp_path / "w.safetensors"


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def test_comes_back_exactly(file: Path) -> None:
    loaded = weights_file.load(file, "generator")
    assert (loaded.kind, loaded.config, loaded.card) == ("generator", CONFIG, CARD)
    assert list(loaded.config) == list(CONFIG)  # the order of the layers matters
    assert_same(loaded.tensors, _tensors())


def test_equal_content_gives_equal_bytes(file: Path) -> None:
    again = file.with_name("again.safetensors")
    weights_file.save(again, dict(reversed(_tensors().items())), "generator", CONFIG, CARD)
    assert again.read_bytes() == file.read_bytes()


def test_large_tensors_of_equal_content_are_written_once(tmp_path: Path) -> None:
    large = torch.randn(100, 100)
    tensors = {"encoder": large, "heads": large.clone(), "other": large + 1, "bits": large.view(torch.int32)}
    weights_file.save(tmp_path / "w", tensors, "codec", {})
    assert (tmp_path / "w").stat().st_size < 3.1 * large.nbytes
    loaded = weights_file.load(tmp_path / "w")
    assert loaded.card == {}
    assert_same(loaded.tensors, tensors)


@pytest.fixture
def divided(tmp_path: Path) -> tuple[dict[str, torch.Tensor], list[Path]]:
    """Four tensors, two of them equal, and the files of at most 100 kB into which they were divided."""
    large = torch.randn(100, 200)
    tensors = {"a": large, "b": large + 1, "c": large.clone(), "d": torch.arange(5)}
    weights_file.save(tmp_path / "whole.safetensors", tensors, "codec", CONFIG, CARD)
    return tensors, weights_file.split(tmp_path / "whole.safetensors", tmp_path / "w.safetensors", 100_000)


def test_a_divided_file_is_loaded_as_the_whole(divided: tuple[dict[str, torch.Tensor], list[Path]]) -> None:
    tensors, files = divided
    assert [file.name for file in files] == ["w.safetensors", "w.2.safetensors"]
    assert max(file.stat().st_size for file in files) <= 100_000
    loaded = weights_file.load(files[0], "codec")
    assert (loaded.config, loaded.card) == (CONFIG, CARD)
    assert_same(loaded.tensors, tensors)


def test_the_rest_of_a_divided_file_must_be_there_and_be_its_own(
    divided: tuple[dict[str, torch.Tensor], list[Path]],
) -> None:
    first, rest = divided[1]
    weights_file.save(rest, {"b": torch.zeros(100, 200)}, "part", {})
    with pytest.raises(HscError, match=r"w\.2\.safetensors: damaged, or not the rest of w\.safetensors"):
        weights_file.load(first)
    rest.unlink()
    with pytest.raises(HscError, match=r"the rest of it, w\.2\.safetensors, is not beside it"):
        weights_file.load(first)


def test_a_tensor_is_never_divided(divided: tuple[dict[str, torch.Tensor], list[Path]]) -> None:
    first = divided[1][0]
    with pytest.raises(HscError, match="alone has 80,000 bytes; allow larger files"):
        weights_file.split(first, first.with_name("x.safetensors"), 50_000)
    again = weights_file.split(first, first.with_name("y.safetensors"), 1_000_000)
    assert [file.name for file in again] == ["y.safetensors"]
    assert weights_file.load(again[0]).tensors.keys() == divided[0].keys()


def test_other_kind_is_named(file: Path) -> None:
    with pytest.raises(HscError, match="contains weights of kind 'generator' where 'codec' is needed"):
        weights_file.load(file, "codec")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, r"format 3, this one reads 2\); upgrade hsc"),
        ({"config": []}, "description is damaged"),
        *(({"same": same}, "damaged") for same in ({"b": "missing"}, {"b": ["a"]}, ["b"])),
    ],
)
def test_a_description_that_cannot_be_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    about = {"format": 1, "kind": "generator", "config": {}, "card": {}} | changes
    safetensors.torch.save_file({"a": torch.zeros(2)}, tmp_path / "w", {"hsc": json.dumps(about)})
    with pytest.raises(HscError, match=message):
        weights_file.load(tmp_path / "w")


@pytest.mark.parametrize("metadata", [None, {"hsc": "nonsense"}, {"hsc": "[1]"}, {"hsc": '{"format": 1}'}])
def test_safetensors_of_others(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "other", metadata)
    with pytest.raises(HscError, match="not written by hsc"):
        weights_file.load(tmp_path / "other")


@pytest.mark.parametrize("content", [b"", b"short", b"PK\x03\x04 a zip archive", b"\x80\x04 a pickle, or nearly"])
def test_other_files_are_told_apart(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(HscError, match="not a safetensors file"):
        weights_file.load(tmp_path / "x")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(HscError, match="no such file"):
        weights_file.load(tmp_path / "nothing")
    with pytest.raises(HscError, match="cannot be read"):
        weights_file.load(tmp_path)


@given(share=st.floats(0, 1, exclude_max=True))
def test_truncation_anywhere_is_one_line(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    path = tmp_path_factory.mktemp("cut") / "w"
    weights_file.save(path, _tensors(), "generator", CONFIG)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(HscError, match=r"not a safetensors file|truncated or damaged") as caught:
        weights_file.load(path)
    assert "\n" not in str(caught.value)


def test_failed_write_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(HscError, match="No space left on device"):
        weights_file.save(file, {"a": torch.zeros(1)}, "generator", {})
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]
