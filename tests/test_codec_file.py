"""Saved codecs: the same files before and after, and a one-sentence error for anything that is not a codec."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from tiny_model import SIZE, tiny_codec, tiny_linear_model, tiny_model

import hsc
from hsc import codec_file, released
from hsc.checkpoints import load_generator, weights_file
from hsc.codec import Codec
from hsc.errors import HscError


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Codec, Path]:
    codec, entropy = tiny_codec(fineness=3.0)
    path = tmp_path / "mine.safetensors"
    codec_file.save(path, codec, entropy, {"bytes_per_face": [40.0, 90.0]})
    return codec, path


def faces() -> torch.Tensor:
    return torch.rand(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_a_loaded_codec_writes_the_same_files(saved: tuple[Codec, Path]):
    codec, path = saved
    loaded = hsc.load(path)
    assert loaded.model_id == codec.model_id
    assert loaded.compress(faces(), 1) == codec.compress(faces(), 1)
    assert (loaded.name, loaded.layers, loaded.size, loaded.num_qualities) == ("mine", codec.layers, SIZE, 2)
    assert loaded.model == replace(codec.model, generator=replace(codec.model.generator, mapping_layers=0))
    assert loaded.card == {"bytes_per_face": [40.0, 90.0], "model_id": codec.model_id}
    assert loaded.default_quality == 1
    (shown,), (expected,) = (c.decompress(codec.compress(faces()[:1])) for c in (loaded, codec))
    torch.testing.assert_close(shown, expected, rtol=1e-4, atol=1e-4)
    assert not any(parameter.requires_grad for part in loaded.networks for parameter in part.parameters())


def test_saving_again_gives_the_same_bytes(saved: tuple[Codec, Path], tmp_path: Path):
    codec, path = saved
    again = tmp_path / "again.safetensors"
    codec_file.save(again, codec, tiny_codec(fineness=3.0)[1], {"bytes_per_face": [40.0, 90.0]})
    assert again.read_bytes() == path.read_bytes()


def test_a_codec_has_no_mapping_network_and_says_so(saved: tuple[Codec, Path]):
    with pytest.raises(HscError, match="a codec, whose generator has no mapping network; give a prior, such as"):
        load_generator(saved[1])
    with pytest.raises(ValueError, match="no mapping network"):
        hsc.load(saved[1]).generator.mapping(torch.zeros(1, 16))


def test_a_run_folder_gives_its_codec_and_its_name(saved: tuple[Codec, Path], tmp_path: Path):
    run = tmp_path / "runs" / "mine-too"
    run.mkdir(parents=True)
    saved[1].rename(run / "codec.safetensors")
    assert hsc.load(run).name == "mine-too"
    assert hsc.load(run).model_id == saved[0].model_id


def test_a_model_under_former_names_is_read(tmp_path: Path):
    codec, entropy = tiny_codec(tiny_linear_model(), fineness=3.0)
    path = tmp_path / "mine.safetensors"
    codec_file.save(path, codec, entropy)
    held = weights_file.describe(path).config
    former = {{"linear_path": "picture"}.get(key, key): value for key, value in held.items()}
    former["layers"] = {name: layer | {"grid": 0} for name, layer in held["layers"].items()}
    rewritten(path, config={**former, "mirrored": True, "entropy": {**held["entropy"], "context": "layer"}})
    assert "picture" in weights_file.describe(path).config
    assert hsc.load(path).compress(faces(), 1) == codec.compress(faces(), 1)


def test_every_truncation_is_an_error(saved: tuple[Codec, Path]):
    _, path = saved
    whole = path.read_bytes()
    for length in [0, 1, 8, 9, 100, *range(200, len(whole), len(whole) // 7), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(HscError, match=r"mine\.safetensors: .*(not a safetensors|truncated|not written by hsc)"):
            hsc.load(path)


def rewritten(path: Path, **changes) -> None:
    """The file with some of its fields (tensors, kind, config, card) replaced."""
    held = weights_file.load(path)._replace(**changes)
    weights_file.save(path, held.tensors, held.kind, held.config, held.card)


def test_a_missing_or_misshapen_tensor_is_named_by_its_file(saved: tuple[Codec, Path]):
    _, path = saved
    whole = path.read_bytes()
    for prefix in (*codec_file.PREFIXES, "integer."):
        tensors = weights_file.load(path).tensors
        name = next(name for name in tensors if name.startswith(prefix))
        rewritten(path, tensors={key: value for key, value in tensors.items() if key != name})
        with pytest.raises(HscError, match=r"mine\.safetensors: its tensors do not fit its own config"):
            hsc.load(path)
        rewritten(path, tensors=tensors | {name: torch.zeros(1, 2, 3, 4, 5)})
        with pytest.raises(HscError, match=r"mine\.safetensors: its tensors do not fit its own config"):
            hsc.load(path)
        path.write_bytes(whole)
    tensors = weights_file.load(path).tensors
    rewritten(path, tensors={key: value for key, value in tensors.items() if key != "table.scales"})
    with pytest.raises(HscError, match="frequency table"):
        hsc.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"lambdas": []},
        {"lambdas": ["much"]},
        {"layers": {}},
        {"layers": {}, "generator": {"channels": []}, "encoder": {"channels": []}},
        {"entropy": {"width": 16, "heads": 3}},
    ],
)
def test_a_config_that_cannot_work_is_an_error(saved: tuple[Codec, Path], change: dict):
    _, path = saved
    rewritten(path, config=asdict(tiny_model()) | change)
    with pytest.raises(HscError, match=r"another version|config"):
        hsc.load(path)


def test_weights_of_another_kind_are_refused(saved: tuple[Codec, Path]):
    _, path = saved
    rewritten(path, kind="stage")
    with pytest.raises(
        HscError, match=r"^.*mine\.safetensors: contains weights of kind 'stage' where 'codec' is needed"
    ):
        hsc.load(path)


def test_an_unfinished_run_says_what_to_do(tmp_path: Path):
    with pytest.raises(HscError, match="let `hsc train` finish"):
        hsc.load(tmp_path)


def test_an_unknown_name_lists_the_released_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(released, "ASSETS", tmp_path)
    for name in ("b", "a"):
        (tmp_path / f"{name}.safetensors").touch()
        (tmp_path / f"{name}.md").touch()
    (tmp_path / "part-of-hsc.safetensors").touch()  # not a release, because it has no card
    assert released.released_names() == ["a", "b"]
    with pytest.raises(HscError, match="no weights 'c': give a file, a run folder or one of a, b"):
        hsc.load("c")
    assert released.find_weights("b") == tmp_path / "b.safetensors"
    with pytest.raises(HscError, match=f"no weights '{released.DEFAULT_MODEL}'"):
        hsc.load()


def test_a_file_says_how_to_build_itself(saved: tuple[Codec, Path]):
    """Nothing but safetensors and JSON: no code to execute."""
    _, path = saved
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    about = json.loads(header["__metadata__"]["hsc"])
    assert about["kind"] == "codec"
    assert about["config"]["layers"]["basic"] == {"rows": 3, "dim": 8}
    stored = {name.split(".")[0]: entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
    assert stored.keys() == {"encoder", "entropy", "decoder", "integer", "table"}
    assert set(stored.values()) <= {"F16", "I8", "I16", "I32", "I64"}


def test_a_released_codec_is_found_by_the_id_in_its_card(
    saved: tuple[Codec, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    codec, path = saved
    monkeypatch.setattr(released, "ASSETS", tmp_path)
    assert codec_file.released_codec(codec.model_id) is None, "it has no card, so it is no release"
    path.with_suffix(".md").touch()
    with monkeypatch.context() as patched:
        patched.setattr(codec_file, "load", None)  # nothing is loaded
        assert codec_file.released_codec(codec.model_id) == ("mine", codec.layers, 2)
        assert codec_file.released_codec(codec.model_id ^ 1) is None
    rewritten(path, card={})
    assert codec_file.released_codec(codec.model_id) == ("mine", codec.layers, 2)
