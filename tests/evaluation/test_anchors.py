"""Anchors: the exact files, correct byte counts, the cache, the search for a size, and missing codecs."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hsc.errors import HscError
from hsc.evaluation.anchors import ANCHORS, Anchor, AnchorNotAvailable, AnchorResult, ffmpeg, load_anchor
from hsc.evaluation.anchors.ffmpeg import VVC
from hsc.evaluation.anchors.pillow import JPEG
from hsc.evaluation.anchors.streams import (
    av1_frame_bytes,
    hevc_slice_bytes,
    media_data_bytes,
    nal_units,
    vvc_slice_bytes,
)


@pytest.fixture(scope="session")
def face(data_dir) -> np.ndarray:
    from hsc.data.faces import open_faces

    return np.array(open_faces(data_dir / "ffhq128.zip").load("04000.jpg"))


@pytest.fixture
def small_face(face) -> np.ndarray:
    return np.array(Image.fromarray(face).reduce(2))


def psnr(reference: np.ndarray, image: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((reference.astype(float) - image) ** 2))


def available(name: str) -> Anchor:
    try:
        return load_anchor(name)
    except AnchorNotAvailable as error:
        pytest.skip(str(error))


def test_vvc_makes_the_file_of_the_plain_command(face, tmp_path):
    imageio_ffmpeg = pytest.importorskip("imageio_ffmpeg")
    available("vvc")
    program, source, target = imageio_ffmpeg.get_ffmpeg_exe(), tmp_path / "face.png", tmp_path / "face.266"
    Image.fromarray(face).save(source)
    encode = (
        f"{program} -y -loglevel error -i {source} -vf scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le "
        f"-c:v libvvenc -preset slower -qp 52 -g 1 -vvenc-params qpa=0:intraperiod=1 -frames:v 1 -f vvc {target}"
    )
    subprocess.run(encode.split(), check=True, stdout=subprocess.DEVNULL)
    to_rgb = "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int,format=rgb24"
    decode = f"{program} -y -loglevel error -i {target} -vf {to_rgb} {source}"
    subprocess.run(decode.split(), check=True)

    anchor = VVC()
    assert anchor.encode(face, 52) == target.read_bytes()
    result = anchor.encode_decode(face, 52)
    assert result.file_bytes == target.stat().st_size
    assert result.file_bytes - result.slice_bytes == 83
    np.testing.assert_array_equal(result.decoded, np.array(Image.open(source)))


@pytest.mark.parametrize("name", ["vvc", "hevc", "av1"])
def test_conversion_keeps_the_colour(name, small_face):
    decoded = available(name).encode_decode(small_face, 8).decoded
    assert np.abs(decoded.mean((0, 1)) - small_face.mean((0, 1))).max() < 0.3


@pytest.mark.parametrize("name", ["vvc", "hevc", "av1"])
def test_odd_sides(name, small_face):
    odd = small_face[:-1, :-3]
    decoded = available(name).encode_decode(odd, 10).decoded
    assert decoded.shape == odd.shape
    assert np.abs(decoded.astype(int) - odd).mean() < 4


@pytest.mark.parametrize("name", sorted(set(ANCHORS) - {"vvc"}))
def test_every_codec_returns_the_face_and_spends_more_for_better(name, small_face):
    anchor = available(name)
    few, many = (anchor.encode_decode(small_face, anchor.qualities[i]) for i in (0, -1))
    assert few.decoded.shape == many.decoded.shape == small_face.shape
    assert few.decoded.dtype == np.uint8
    assert few.file_bytes < many.file_bytes
    assert 10 < psnr(small_face, few.decoded) < psnr(small_face, many.decoded)
    # A wrong colour matrix or range shifts the mean colour.
    assert np.abs(many.decoded.mean((0, 1)) - small_face.mean((0, 1))).max() < 2
    assert few.slice_bytes is None or 0 < few.slice_bytes < few.file_bytes


@pytest.mark.parametrize("name", sorted(ANCHORS))
def test_ladders_climb_the_scale(name):
    anchor = ANCHORS[name]()
    places = [anchor.scale.index(quality) for quality in anchor.qualities]
    assert places == sorted(set(places))


def test_nal_units_survive_long_start_codes_and_padding():
    stream = b"\0\0\0\1\0\x79sps\0\0\0\1\0\x39slice\0\0\1\0\x7ameta\0\0"
    assert nal_units(stream) == [b"\0\x79sps", b"\0\x39slice", b"\0\x7ameta"]


def test_slices_are_told_from_parameter_sets():
    vvc = b"".join(b"\0\0\1\0" + bytes([kind << 3 | 1]) + b"abc" for kind in (20, 15, 16, 7, 8, 12))
    assert vvc_slice_bytes(vvc) == 2 * 5
    hevc = b"".join(b"\0\0\1" + bytes([kind << 1, 1]) + b"abcd" for kind in (32, 33, 34, 20, 31, 39))
    assert hevc_slice_bytes(hevc) == 2 * 6


def test_av1_counts_frames_without_their_size_fields():
    delimiter, sequence = b"\x12\0", b"\x0a\x02ab"
    frame = bytes([6 << 3 | 2, 0x80 | 3, 1]) + bytes(131)  # 131 = 3 + (1 << 7), a two-byte leb128
    assert av1_frame_bytes(delimiter + sequence + frame) == 1 + 131
    with pytest.raises(ValueError, match="size field"):
        av1_frame_bytes(bytes([6 << 3]) + b"abc")


def test_media_data_is_found_among_boxes():
    box = lambda kind, payload: (8 + len(payload)).to_bytes(4) + kind + payload  # noqa: E731
    long = (1).to_bytes(4) + b"mdat" + (16 + 5).to_bytes(8) + b"12345"
    assert media_data_bytes(box(b"ftyp", b"avif") + long + box(b"mdat", b"xyz")) == 8
    assert media_data_bytes(box(b"ftyp", b"avif") + b"\0\0\0\0mdat" + b"to the end") == 10
    with pytest.raises(ValueError, match="broken"):
        media_data_bytes(b"\0\0\0\3mdat")


class Counting(JPEG):
    """JPEG that counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def encode(self, image, quality):
        self.calls += 1
        return super().encode(image, quality)


def equal(one: AnchorResult, other: AnchorResult) -> bool:
    sizes_and_times = [(result.file_bytes, result.encode_seconds) for result in (one, other)]
    return np.array_equal(one.decoded, other.decoded) and sizes_and_times[0] == sizes_and_times[1]


def test_cache_answers_only_for_the_same_image_quality_and_settings():
    image = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    anchor = Counting()
    first = anchor.encode_decode(image, 10)
    assert equal(anchor.encode_decode(image, 10), first)
    assert equal(Counting().encode_decode(image, 10), first)
    assert anchor.calls == 1

    anchor.encode_decode(image, 20)
    anchor.encode_decode(image ^ 1, 10)
    anchor.encode_decode(image.reshape(16, 24, 3), 10)
    assert anchor.calls == 4
    anchor.settings = "other settings"
    anchor.encode_decode(image, 10)
    assert anchor.calls == 5


def test_damaged_cache_entry_is_made_anew():
    image = np.zeros((16, 16, 3), np.uint8)
    anchor = Counting()
    first = anchor.encode_decode(image, 10)
    entry = anchor.cache_entry(image, 10)
    entry.write_bytes(entry.read_bytes()[:40])
    again = anchor.encode_decode(image, 10)
    assert again.file_bytes == first.file_bytes
    assert equal(anchor.encode_decode(image, 10), again)


def test_without_a_cache_images_are_coded_again(no_cache, capsys):
    anchor, image = Counting(), np.zeros((16, 16, 3), np.uint8)
    assert anchor.encode_decode(image, 10).file_bytes == anchor.encode_decode(image, 10).file_bytes
    assert anchor.calls == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "set HSC_CACHE" in line


def test_bisection_finds_the_last_quality_that_fits(small_face):
    anchor = JPEG()
    quality, result = anchor.near_bytes(small_face, 700)
    assert result.file_bytes <= 700
    assert anchor.encode_decode(small_face, quality + 1).file_bytes > 700
    least = anchor.encode_decode(small_face, 1).file_bytes
    quality, result = anchor.near_bytes(small_face, least - 1)
    assert (quality, result.file_bytes) == (1, least)


def test_unknown_quality_and_unknown_anchor_are_refused():
    with pytest.raises(HscError, match=r"from 1 .* to 95"):
        JPEG().encode_decode(np.zeros((8, 8, 3), np.uint8), 0)
    with pytest.raises(HscError, match="choose from vvc"):
        load_anchor("h264")
    with pytest.raises(HscError, match="not an anchor: make it a subclass"):
        load_anchor("hsc.errors:HscError")


def test_own_anchor_is_found_by_its_path(monkeypatch):
    monkeypatch.setitem(sys.modules, "my_codecs", sys.modules[__name__])
    assert load_anchor("my_codecs:Counting").qualities == JPEG.qualities


@pytest.mark.parametrize(
    ("name", "package"), [("vvc", "imageio_ffmpeg"), ("jxl", "pillow_jxl"), ("heic", "pillow_heif")]
)
def test_missing_codec_names_the_command_that_installs_it(name, package, monkeypatch):
    from hsc.evaluation.anchors import pillow

    for remembered in (ffmpeg._executable, ffmpeg._encoders, ffmpeg._version, pillow._import_plugin):
        remembered.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(AnchorNotAvailable, match=r"pip install 'hsc\[anchors\]'"):
        load_anchor(name)
