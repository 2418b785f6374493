"""Files written whole or not at all, hashes and folders; images between files and tensors."""

import hashlib
import io
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hsc import files
from hsc.errors import FileRefused, HscError
from hsc.images import load_image, resize, to_pil, to_rgb, to_tensor, to_uint8


def test_writing_replaces_the_whole_file(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "file"
    files.write_atomically(path, b"first, longer")
    files.write_atomically(path, lambda file: file.write(b"second"))
    assert path.read_bytes() == b"second"
    assert os.listdir(path.parent) == ["file"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_a_failure_in_the_middle_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file) -> None:
        file.write(b"half of")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(HscError, match=r"cannot write .*/file/below: .*; choose a folder"):
        files.write_atomically(tmp_path / "file" / "below", b"")
    with pytest.raises(HscError, match="cannot write"):
        files.write_atomically(tmp_path, b"")
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_stays_a_link_and_permissions_stay(tmp_path: Path):
    real, link = tmp_path / "disk" / "real", tmp_path / "link"
    real.parent.mkdir()
    link.symlink_to("disk/real")
    files.write_atomically(link, b"new")  # the link is dangling before this
    real.chmod(0o600)
    files.write_atomically(link, b"newer")
    assert os.readlink(link) == "disk/real"
    assert real.read_bytes() == b"newer"
    assert stat.S_IMODE(real.stat().st_mode) == 0o600
    assert os.listdir(real.parent) == ["real"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path):
    files.write_atomically(tmp_path / ("x" * 255), b"whole")
    assert (tmp_path / ("x" * 255)).read_bytes() == b"whole"
    with pytest.raises(HscError, match="too long; give a shorter name"):
        files.write_atomically(tmp_path / ("x" * 256), b"")


@pytest.mark.parametrize("by_link", [False, True])
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path, by_link: bool):
    pipe, target = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    target.symlink_to(pipe)
    target = target if by_link else pipe
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        files.write_atomically(target, lambda file: Image.new("L", (4, 4)).save(file, "TIFF"))  # the TIFF writer seeks
        assert read.result().startswith(b"II*")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert target.is_symlink() == by_link


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["face", "link", "hard", "sub/../face", "folder-link/face"])
def test_no_input_is_written_over_by_any_of_its_names(tmp_path: Path, name: str, force: bool):
    face = tmp_path / "face"
    face.write_bytes(b"precious")
    (tmp_path / "link").symlink_to("face")
    os.link(face, tmp_path / "hard")
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder-link").symlink_to(".")
    with pytest.raises(HscError, match="input and output are the same file"):
        files.refuse_overwriting([tmp_path / "new", tmp_path / name], [face], lambda path: True, force)
    files.refuse_overwriting([tmp_path / "new"], [face, tmp_path / "absent"], lambda path: False)


def test_only_what_is_somebody_elses_is_refused(tmp_path: Path):
    own, foreign, empty, link = (tmp_path / name for name in ("own", "foreign", "empty", "link"))
    own.write_bytes(b"hsc")
    foreign.write_bytes(b"precious")
    empty.touch()
    link.symlink_to(foreign)

    def refuse(*targets: Path, force: bool = False) -> None:
        files.refuse_overwriting(targets, [], lambda path: path.read_bytes() == b"hsc", force)

    refuse(own, empty, tmp_path / "new")
    refuse(foreign, link, force=True)
    with pytest.raises(HscError, match=r"link and 1 more outputs are there already, .* --force"):
        refuse(own, link, foreign)
    with pytest.raises(HscError, match="is a folder: name a file"):
        refuse(tmp_path, force=True)
    with pytest.raises(HscError, match="too long a name"):
        refuse(tmp_path / ("x" * 256))


def test_a_folder_of_results_is_known_by_its_mark(tmp_path: Path):
    folder = tmp_path / "results"
    files.claim_folder(folder, "evaluate", ["*.json"])
    (folder / "results.json").touch()
    files.claim_folder(folder, "evaluate", ["*.json"])
    with pytest.raises(HscError, match=r"results\.json is there already, .* --force"):
        files.claim_folder(folder, "compare", ["*.svg", "*.json"])
    files.claim_folder(folder, "compare", ["*.json"], force=True)
    files.claim_folder(folder, "compare", ["*.json"])
    with pytest.raises(HscError, match="is a file"):
        files.claim_folder(folder / "results.json", "evaluate", [])


def test_sha256(tmp_path: Path):
    (tmp_path / "file").write_bytes(bytes(100_000))
    assert files.sha256(tmp_path / "file") == hashlib.sha256(bytes(100_000)).hexdigest()


def test_folders_follow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HSC_DATA", str(tmp_path / "data"))
    assert files.cache_dir() == tmp_path / "cache"
    assert files.data_dir() == tmp_path / "data"
    monkeypatch.delenv("HSC_CACHE")
    monkeypatch.delenv("HSC_DATA")
    assert files.cache_dir() == Path.home() / ".cache" / "hsc"
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert files.data_dir() is None
    (tmp_path / "shared" / "data").mkdir(parents=True)
    assert files.data_dir().resolve() == tmp_path / "shared" / "data"


def test_bytes_survive_tensors():
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tensor = to_tensor(Image.fromarray(pixels))
    assert (tensor.dtype, tuple(tensor.shape)) == (torch.float32, (3, 16, 16))
    assert (tensor.min(), tensor.max()) == (-1.0, 1.0)
    assert np.array_equal(to_uint8(tensor[None])[0], pixels)
    assert np.array_equal(np.array(to_pil(tensor)), pixels)


def test_values_outside_are_clamped_and_others_rounded():
    values = torch.tensor([-7.0, -1.0, 0.0, 1 / 127.5 + 0.003, 1.0, 7.0]).expand(1, 3, 1, 6)
    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 0, 128, 129, 255, 255]


def test_resize():
    images = torch.rand(2, 3, 32, 32)
    assert resize(images, 32) is images
    assert resize(images, 48).shape == (2, 3, 48, 48)
    stripes = torch.tensor([-1.0, 1.0]).repeat(16).expand(1, 3, 32, 32)
    assert resize(stripes, 8)[..., 2:-2].abs().max() < 0.1  # antialiased: neither of the two values
    flat = torch.full((1, 3, 32, 32), 0.3)
    torch.testing.assert_close(resize(flat, 20), torch.full((1, 3, 20, 20), 0.3))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path):
    Image.fromarray(np.full((4, 6), 200 * 257, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert np.unique(load_image(tmp_path / "deep.png")).tolist() == [200]
    (tmp_path / "deep.pgm").write_bytes(b"P5 6 4 65535\n" + (200 * 257).to_bytes(2, "big") * 24)
    assert np.unique(load_image(tmp_path / "deep.pgm")).tolist() == [200]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str):
    path = tmp_path / ("picture.tif" if mode == "CMYK" else "picture.png")
    Image.new("L", (4, 6), 200).convert("RGB" if mode == "CMYK" else "L").convert(mode).save(path)
    image = load_image(path)
    assert (image.mode, image.size) == ("RGB", (4, 6))
    assert np.array(image).std() == 0
    assert abs(int(np.array(image)[0, 0, 0]) - 200) <= 1


def test_transparent_pixels_lie_over_white(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    pixels = np.zeros((4, 4, 4), dtype=np.uint8)
    pixels[..., :3] = 255, 0, 255  # hidden by transparency
    pixels[0, 0, 3] = 255
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "colour.png")
    picture.convert("LA").save(tmp_path / "grey.png")
    picture.save(tmp_path / "palette.gif")
    palette = Image.fromarray(pixels[..., 3] // 255, "P")
    palette.putpalette([255, 0, 255, 0, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=bytes([0, 255]))
    Image.fromarray(pixels[..., :3]).save(tmp_path / "key.png", transparency=(255, 0, 255))
    for file in tmp_path.iterdir():
        loaded = load_image(file)
        assert (loaded.mode, loaded.getpixel((3, 3))) == ("RGB", (255, 255, 255)), file.name
    assert load_image(tmp_path / "colour.png").getpixel((0, 0)) == (255, 0, 255)
    assert load_image(tmp_path / "palette.png").getpixel((0, 0)) == (0, 0, 0)
    assert not recwarn.list


@pytest.mark.parametrize(("dtype", "kind"), [(np.float32, "floats"), (np.int32, "integers")])
def test_numbers_of_32_bits_are_refused(tmp_path: Path, dtype: type, kind: str):
    Image.fromarray(np.full((4, 4), 200, dtype)).save(tmp_path / "deep.tif")
    with pytest.raises(HscError, match=rf"deep\.tif: 32-bit {kind} .*save it with 8 or 16 bits"):
        load_image(tmp_path / "deep.tif")
    with pytest.raises(HscError, match=f"32-bit {kind}"):
        to_rgb(Image.fromarray(np.full((4, 4), 200, dtype)))


def test_of_an_animated_picture_the_first_frame_counts(tmp_path: Path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "black")]
    for ending in ("gif", "webp", "png", "tif"):
        path = tmp_path / f"frames.{ending}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        assert np.unique(load_image(path)).tolist() == [255]


def test_heic_is_read_where_its_reader_is_and_named_where_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the anchors extra: make env")
    pillow_heif.from_pillow(Image.new("RGB", (64, 64), (200, 100, 50))).save(tmp_path / "a.heic")
    os.link(tmp_path / "a.heic", tmp_path / "renamed.jpg")
    for name in ("a.heic", "renamed.jpg"):
        assert np.abs(np.array(load_image(tmp_path / name), int)[32, 32] - (200, 100, 50)).max() < 8
    kinds = {kind: value for kind, value in Image.OPEN.items() if kind != "HEIF"}
    monkeypatch.setattr(Image, "OPEN", kinds)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind in kinds])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(HscError, match=r"a\.heic: a HEIC photograph: pip install pillow-heif"):
        load_image(tmp_path / "a.heic")


def test_gigantic_pictures_are_read_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Image.new("L", (30, 30)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # Pillow warns above this and refuses twice as much
    assert load_image(tmp_path / "large.png").size == (30, 30)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    with pytest.raises(HscError, match=r"large\.png: too large .*scale it down"):
        load_image(tmp_path / "large.png")


@pytest.mark.parametrize("ending", ["avif", "bmp", "gif", "jpg", "pgm", "png", "tif", "webp"])
def test_any_damage_is_one_sentence_about_the_file(tmp_path: Path, ending: str):
    random = np.random.default_rng(0)
    path = tmp_path / f"picture.{ending}"
    Image.fromarray(random.integers(0, 256, (32, 32), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    cuts = [whole[:length] for length in random.integers(0, len(whole), 20)]
    flips = [bytearray(whole) for _ in range(60)]
    for flipped in flips:
        flipped[random.integers(0, len(whole))] ^= random.integers(1, 256)
    faults = []
    for content in (b"", *cuts, *flips):
        path.write_bytes(content)
        try:
            load_image(path)
        except HscError as error:
            faults.append(error)
    assert all(str(path) in str(fault) and not isinstance(fault, FileRefused) for fault in faults)
    assert faults, "an empty file at least"


def test_orientation_is_honoured(tmp_path: Path):
    image = Image.new("RGB", (6, 4))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    upright = load_image(tmp_path / "turned.png")
    assert upright.size == (4, 6)
    assert upright.getpixel((3, 0)) == (255, 255, 255)


def test_broken_and_foreign_files_are_named(tmp_path: Path):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(stream, "PNG")
    cases = {"torn.png": (stream.getvalue()[:2000], "broken"), "text.png": (b"no image at all", "not an image")}
    for name, (content, reason) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(HscError, match=rf"{name}: {reason}"):
            load_image(tmp_path / name)
        with pytest.raises(HscError, match=rf"^in a zip: {reason}"):
            load_image(io.BytesIO(content), "in a zip")
    with pytest.raises(HscError, match=r"absent\.png: no such file"):
        load_image(tmp_path / "absent.png")
    with pytest.raises(FileRefused, match="Is a directory"):
        load_image(tmp_path)
