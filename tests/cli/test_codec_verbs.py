"""`hsc encode`, `decode` and `inspect` with a small codec: the files, the pictures, and every kind of refusal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hsc
from hsc.checkpoints import weights_file
from hsc.coding.container import read, write
from hsc.images import load_image, to_pil, to_tensor


@pytest.fixture
def codec(codec_file: Path):
    return hsc.load(codec_file)


def picture(seed: int, width: int = 64, height: int | None = None) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height or width, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """A square picture of 64×64 pixels."""
    path = tmp_path / "face.png"
    picture(0).save(path)
    return path


def tensor(path: Path) -> torch.Tensor:
    return to_tensor(load_image(path))[None]


def test_encode_writes_what_the_codec_makes_and_says_how_much(run, codec, codec_file: Path, face: Path, tmp_path: Path):
    ended = run("encode", face, "--model", codec_file)
    (expected,) = codec.compress(tensor(face))
    made = tmp_path / "face.hsc"
    assert (ended.status, ended.err) == (0, "")
    assert made.read_bytes() == expected
    assert ended.out == f"{made}: {len(expected)} bytes, {8 * len(expected) / 64**2:.4f} bpp\n"


def test_layers_make_prefixes_at_the_quality_asked_for(run, codec_file: Path, face: Path, tmp_path: Path):
    files, quality = [], 1.2
    for layers in (1, 2, 3):
        out = tmp_path / f"{layers}.hsc"
        run("encode", face, "-o", out, "--layers", layers, "--quality", quality, "--model", codec_file)
        files.append(out.read_bytes())
        report = json.loads(run("inspect", out, "--json").out)
        assert (report["quality_byte"], len(report["layers"])) == (85 * quality, layers)
        assert (report["width"], report["height"]) == (64, 64)
    assert files[2].startswith(files[1])
    assert files[1].startswith(files[0])


def test_bytes_are_used_up_and_never_exceeded(run, codec, codec_file: Path, face: Path, tmp_path: Path):
    sizes = [len(codec.compress(tensor(face), position / 85)[0]) for position in range(256)]
    assert min(sizes) < max(sizes), "else there is nothing to choose"
    for limit in (min(sizes), (min(sizes) + max(sizes)) // 2, max(sizes) + 1):
        out = tmp_path / f"{limit}.hsc"
        assert run("encode", face, "-o", out, "--bytes", limit, "--model", codec_file).status == 0
        position = json.loads(run("inspect", out, "--json").out)["quality_byte"]
        assert out.stat().st_size == sizes[position] <= limit
        assert sizes[position] >= 0.95 * max(size for size in sizes if size <= limit)
    out = tmp_path / "none.hsc"
    run("encode", face, "-o", out, "--bytes", min(sizes) - 1, "--model", codec_file).assert_refused(f"has {min(sizes)}")
    assert not out.exists()


def test_decode_gives_the_stored_size_or_the_models(run, codec, codec_file: Path, face: Path, tmp_path: Path):
    coded, out, native = tmp_path / "face.hsc", tmp_path / "decoded.png", tmp_path / "native.png"
    run("encode", face, "--model", codec_file)
    ended = run("decode", coded, "-o", out, "--model", codec_file)
    assert (ended.status, ended.out, ended.err) == (0, f"{out}: 64x64\n", "")
    (expected,) = codec.decompress([coded.read_bytes()])
    assert Image.open(out).tobytes() == to_pil(expected).tobytes()
    assert run("decode", coded, "-o", native, "--native", "--model", codec_file).status == 0
    assert Image.open(native).size == (16, 16)
    assert run("decode", coded, "-o", native, "--side", "40", "--model", codec_file).status == 0
    assert Image.open(native).size == (40, 40)
    both = run("decode", coded, "-o", native, "--side", "40", "--native", "--model", codec_file)
    both.assert_wrong_usage("--native and --side cannot be combined")
    assert run("decode", coded, "--model", codec_file).status == 0
    assert (tmp_path / "face.decoded.png").exists()


def test_decode_of_fewer_layers_equals_the_shorter_file(run, codec_file: Path, face: Path, tmp_path: Path):
    whole, short = tmp_path / "whole.hsc", tmp_path / "short.hsc"
    run("encode", face, "-o", whole, "--model", codec_file)
    run("encode", face, "-o", short, "--layers", 1, "--model", codec_file)
    run("decode", whole, "--layers", 1, "-o", tmp_path / "a.png", "--model", codec_file)
    run("decode", short, "-o", tmp_path / "b.png", "--model", codec_file)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    more = run("decode", short, "--layers", 2, "-o", tmp_path / "c.png", "--model", codec_file)
    assert (more.status, more.err) == (0, f"hsc: {short}: has only basic; decoded that\n")
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "a.png").read_bytes()


def test_a_torn_file_decodes_with_a_warning_unless_strict(run, codec_file: Path, face: Path, tmp_path: Path, recwarn):
    coded, out = tmp_path / "face.hsc", tmp_path / "out.png"
    run("encode", face, "--model", codec_file)
    run("decode", coded, "--layers", 2, "-o", tmp_path / "two.png", "--model", codec_file)
    coded.write_bytes(coded.read_bytes()[:-1])
    run("decode", coded, "-o", out, "--strict", "--model", codec_file).assert_refused("layer 3")
    assert not out.exists()
    ended = run("decode", coded, "-o", out, "--model", codec_file)
    assert ended.status == 0
    assert ended.err.startswith(f"hsc: {coded}: layer 3")
    assert ended.err.count("\n") == 1
    assert not recwarn.list, "said once"
    assert out.read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_folder_keeps_its_structure_and_survives_bad_files(run, codec_file: Path, tmp_path: Path):
    faces, coded, decoded = tmp_path / "faces", tmp_path / "coded", tmp_path / "decoded"
    (faces / "more").mkdir(parents=True)
    sizes = {"a": 64, "b": 32, "more/c": 64}
    for seed, (name, size) in enumerate(sizes.items()):
        picture(seed, size).save(faces / f"{name}.png")
    ended = run("encode", faces, "-o", coded, "--model", codec_file)
    assert (ended.status, ended.err) == (0, "")
    files = {str(path.relative_to(coded).with_suffix("")): path.stat().st_size for path in coded.rglob("*.hsc")}
    assert files.keys() == sizes.keys()
    bits = 8 * sum(files.values()) / sum(size**2 for size in sizes.values())
    assert ended.out.splitlines()[-1] == f"3 files, {sum(files.values()) / 3:.1f} bytes on average, {bits:.4f} bpp"

    header, chunks, *_ = read((coded / "b.hsc").read_bytes())
    huge = write(header._replace(width=65535, height=65535), chunks)
    for bad, reason in ((b"", "the file is empty"), (huge, "the file asks for a picture of 65535x65535 pixels")):
        (coded / "b.hsc").write_bytes(bad)
        ended = run("decode", coded, "-o", decoded, "--model", codec_file)
        assert ended.status == 1
        assert ended.err.splitlines()[0].startswith(f"hsc: {coded / 'b.hsc'}: {reason}")
        assert ended.err.splitlines()[1].startswith("hsc: 1 of 3 files failed")
        assert {str(path.relative_to(decoded)) for path in decoded.rglob("*.png")} == {"a.png", "more/c.png"}


def test_nothing_of_anybody_else_is_written_over(run, codec_file: Path, face: Path, tmp_path: Path):
    coded, other = tmp_path / "face.hsc", tmp_path / "other.png"
    picture(1).save(other)
    before = face.read_bytes(), other.read_bytes()
    run("encode", face, "-o", face, "--force", "--model", codec_file).assert_refused("are the same file")
    run("encode", face, "-o", other, "--model", codec_file).assert_refused(other, "--force")
    run("encode", face, "-o", codec_file, "--force", "--model", codec_file).assert_refused("are the same file")
    for _ in range(2):  # the command may overwrite its own earlier output
        assert run("encode", face, "-o", coded, "--model", codec_file).status == 0
    run("decode", coded, "-o", coded, "--model", codec_file).assert_refused("input and output are the same file")
    run("decode", tmp_path, "-o", tmp_path, "--model", codec_file).assert_refused(face, "--force")
    assert (face.read_bytes(), other.read_bytes()) == before
    assert run("encode", face, "-o", other, "--force", "--model", codec_file).status == 0
    assert other.read_bytes() == coded.read_bytes()


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
def test_decoded_pictures_may_be_decoded_again(run, codec_file: Path, face: Path, tmp_path: Path, ending: str):
    run("encode", face, "--model", codec_file)
    for _ in range(2):
        command = ("decode", tmp_path / "face.hsc", "-o", tmp_path / f"out.{ending}", "--model", codec_file)
        assert run(*command).status == 0


def test_a_pipe_takes_the_result_and_messages_go_elsewhere(run, codec_file: Path, face: Path, tmp_path: Path):
    run("encode", face, "--model", codec_file)
    for command in (("encode", face), ("decode", tmp_path / "face.hsc", "--native")):
        reading, writing = os.pipe()
        ended = run(*command, "-o", f"/dev/fd/{writing}", "--model", codec_file)
        os.close(writing)
        with open(reading, "rb") as pipe:
            written = pipe.read()
        assert (ended.status, ended.out) == (0, "")
        assert ended.err.startswith(f"/dev/fd/{writing}: ")
        assert written == (tmp_path / "face.hsc").read_bytes() if command[0] == "encode" else b"PNG" in written[:4]


def test_standard_streams(codec_file: Path, face: Path, tmp_path: Path):
    script = f"""hsc() {{ "{sys.executable}" -c 'import hsc.cli; hsc.cli.main()' "$@"; }}
        cat "{face}" | hsc encode - --model "{codec_file}" | tee coded | hsc decode - -o - --model "{codec_file}" > out
        hsc inspect - < coded"""
    ended = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert "size      64x64" in ended.stdout
    assert ended.stderr.count("\n") == 2, "one line of each verb"
    assert hsc.load(codec_file).decode([(tmp_path / "coded").read_bytes()]).damage == [None]
    assert Image.open(tmp_path / "out").size == (64, 64)


def test_names_of_any_bytes_and_any_length(run, codec_file: Path, face: Path, tmp_path: Path):
    folder, coded = tmp_path / "faces", tmp_path / "coded"
    folder.mkdir()
    names = (b"caf\xe9.png", b"x" * 251 + b".png")
    for name in names:
        os.link(face, os.path.join(os.fsencode(folder), name))
    ended = run("encode", folder, "-o", coded, "--model", codec_file)
    assert (ended.status, ended.err) == (0, "")
    assert "caf\ufffd.hsc: " in ended.out
    assert sorted(os.listdir(os.fsencode(coded))) == [name.removesuffix(b".png") + b".hsc" for name in names]
    assert run("decode", coded, "-o", tmp_path / "decoded", "--model", codec_file).status == 0
    assert sorted(os.listdir(os.fsencode(tmp_path / "decoded"))) == sorted(names)


def test_pictures_that_cannot_be_coded_are_refused(run, codec_file: Path, tmp_path: Path):
    wide, broken = tmp_path / "wide.png", tmp_path / "broken.png"
    picture(0, 64, 48).save(wide)
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    run("encode", wide, "--model", codec_file).assert_refused(wide, "64x48", "crop")
    run("encode", broken, "--model", codec_file).assert_refused(broken)
    run("encode", tmp_path / "nowhere.png", "--model", codec_file).assert_refused("no such file")
    run("encode", wide, "--model", tmp_path / "nowhere").assert_refused("no weights")
    assert not list(tmp_path.glob("*.hsc"))


def test_a_file_of_another_model_is_refused(run, codec, codec_file: Path, face: Path, tmp_path: Path):
    coded = tmp_path / "face.hsc"
    run("encode", face, "--model", codec_file)
    content = bytearray(coded.read_bytes())
    content[1] ^= 1
    coded.write_bytes(content)
    ids = (f"made by model {read(bytes(content)).header.model_id:04x}", f"tiny ({codec.model_id:04x})")
    run("decode", coded, "--model", codec_file).assert_refused(coded, *ids, "--model")


@pytest.mark.parametrize("option", [("--quality", 4), ("--layers", 4)])
def test_what_the_model_does_not_have_is_wrong_usage(run, codec_file: Path, face: Path, option: tuple):
    run("encode", face, *option, "--model", codec_file).assert_wrong_usage(f"{option[0]} goes from")


def test_a_device_that_is_not_there_is_named(run, codec_file: Path, face: Path):
    assert run("encode", face, "--device", "cpu", "--model", codec_file).status == 0
    for verb, file in (("encode", face), ("decode", face.with_suffix(".hsc"))):
        ended = run(verb, file, "--device", "cuda:99", "--model", codec_file)
        ended.assert_refused("no device 'cuda:99'", "there is: cpu")


def test_an_output_of_no_known_kind_is_refused(run, codec_file: Path, face: Path, tmp_path: Path):
    run("encode", face, "--model", codec_file)
    run("decode", tmp_path / "face.hsc", "-o", tmp_path / "out.xyz", "--model", codec_file).assert_refused("'.xyz'")


class Killed(Exception):
    """Stands for anything that ends a run before it has finished."""


def folder_of_faces(folder: Path, count: int) -> Path:
    folder.mkdir()
    for index in range(count):
        picture(index, 32).save(folder / f"{index:02}.png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch):
    """`with killed_after(n):` the run ends when it is about to record its n-th finished file."""
    from contextlib import contextmanager

    from hsc.cli.files import Finished

    @contextmanager
    def kill(count: int):
        add, calls = Finished.add, []

        def dying(self, job, values):
            calls.append(job)
            if len(calls) >= count:
                raise Killed
            add(self, job, values)

        with monkeypatch.context() as patched:
            patched.setattr(Finished, "add", dying)
            yield

    return kill


def test_an_interrupted_folder_goes_on_where_it_stopped(run, codec_file: Path, tmp_path: Path, killed_after):
    faces, coded = folder_of_faces(tmp_path / "faces", 40), tmp_path / "coded"
    whole = run("encode", faces, "-o", tmp_path / "whole", "--model", codec_file)
    command = ("encode", faces, "-o", coded, "--model", codec_file)
    with killed_after(20):
        assert run(*command).status == 1
    first = {path.name: path.stat().st_mtime_ns for path in coded.glob("*.hsc")}
    assert 19 <= len(first) < 40
    again = run(*command)
    assert (again.status, again.err) == (0, "")
    # Batches of 16: the first is complete, and the whole second one is coded again.
    assert len(again.out.splitlines()) == 24 + 1
    assert again.out.splitlines()[-1] == whole.out.splitlines()[-1], "the summary counts what was done before"
    assert contents(coded) == contents(tmp_path / "whole")
    untouched = [name for name, time in first.items() if (coded / name).stat().st_mtime_ns == time]
    assert sorted(untouched) == [f"{index:02}.hsc" for index in range(16)]

    decoded = tmp_path / "decoded"
    with killed_after(17):
        assert run("decode", coded, "-o", decoded, "--model", codec_file).status == 1
    again = run("decode", coded, "-o", decoded, "--model", codec_file)
    assert (again.status, len(again.out.splitlines())) == (0, 24)
    assert len(contents(decoded)) == 40


def test_only_what_would_come_out_the_same_is_passed_over(run, codec_file: Path, tmp_path: Path, killed_after):
    faces, coded = folder_of_faces(tmp_path / "faces", 20), tmp_path / "coded"
    command = ("encode", faces, "-o", coded, "--model", codec_file, "--quality")
    with killed_after(20):
        run(*command, 0)
    assert len(run(*command, 3).out.splitlines()) == 20 + 1, "another quality"
    with killed_after(20):
        run(*command, 3)
    picture(99, 32).save(faces / "03.png")
    (coded / "17.hsc").unlink()
    journal = coded / ".hsc-unfinished.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    assert len(run(*command, 3).out.splitlines()) == 20 + 1, "a changed source, a missing result, a torn line"
    assert not journal.exists()


def test_another_encoder_begins_again(run, codec_file: Path, tmp_path: Path, killed_after):
    """It may have the same model id: its files are decoded alike."""
    faces, other = folder_of_faces(tmp_path / "faces", 20), tmp_path / "other.safetensors"
    held = weights_file.load(codec_file)
    tensors = {name: value * 2 if name.startswith("encoder.") else value for name, value in held.tensors.items()}
    weights_file.save(other, tensors, held.kind, held.config, held.card)
    assert hsc.load(other).model_id == hsc.load(codec_file).model_id
    with killed_after(20):
        run("encode", faces, "-o", tmp_path / "coded", "--model", codec_file)
    assert len(run("encode", faces, "-o", tmp_path / "coded", "--model", other).out.splitlines()) == 20 + 1


def test_a_file_of_a_released_codec_names_it(run, codec, codec_file: Path, face: Path, tmp_path: Path, monkeypatch):
    from hsc import released

    coded = tmp_path / "face.hsc"
    run("encode", face, "--model", codec_file)
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "theirs.safetensors").write_bytes(codec_file.read_bytes())
    (tmp_path / "assets" / "theirs.md").touch()
    monkeypatch.setattr(released, "ASSETS", tmp_path / "assets")
    with torch.no_grad():
        codec.networks.generator.mean_w.add_(1)
    monkeypatch.setattr(hsc, "load", lambda *_: codec)
    run("decode", coded).assert_refused(coded, "made by theirs", "--model theirs")


def test_a_file_that_is_too_long_is_not_read(run, codec_file: Path, tmp_path: Path):
    huge = tmp_path / "huge.hsc"
    with huge.open("wb") as file:
        file.write(b"\xb1\0\0\0\x10")
        file.truncate(1 << 40)  # a sparse file: a terabyte of zeros that takes no disk space
    for command in (("decode", huge, "--model", codec_file), ("inspect", huge)):
        run(*command).assert_refused(huge, "longer than any .hsc file")
