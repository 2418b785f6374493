"""Every form of a picture becomes the same tensor, and anything else is refused in one sentence."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_model import SIZE, tiny_codec

from hsc import images
from hsc.codec import Codec
from hsc.errors import HscError
from hsc.images import PIXELS_AT_ONCE, pictures_at_once, to_tensors


@pytest.fixture(scope="module")
def codec() -> Codec:
    return tiny_codec(fineness=3.0)[0]


PIXELS = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(PIXELS).permute(2, 0, 1)
EXPECTED = TENSOR / 127.5 - 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Image.fromarray(PIXELS).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def forms(path: Path) -> dict:
    return {
        "PIL": Image.fromarray(PIXELS),
        "path": path,
        "name": str(path),
        "array": PIXELS,
        "uint8": TENSOR,
        "float": EXPECTED,
        "double": EXPECTED.double(),
    }


def test_every_form_of_a_picture_gives_one_and_the_same_file(codec: Codec, path: Path):
    expected = codec.compress(EXPECTED)
    assert isinstance(expected, bytes)
    for form, picture in forms(path).items():
        assert codec.compress(picture) == expected, form
        assert codec.compress([picture, picture]) == [expected] * 2, form
    assert codec.compress(PIXELS[None]) == codec.compress(TENSOR[None]) == codec.compress(EXPECTED[None]) == [expected]
    assert codec.compress(TENSOR / 255, value_range=(0, 1)) == expected
    assert codec.compress(list(forms(path).values())) == [expected] * len(forms(path))


def test_one_file_or_many_decode_alike(codec: Codec, path: Path):
    file = codec.compress(path)
    (stored := path.with_suffix(".hsc")).write_bytes(file)
    alone = codec.decompress(file)
    assert alone.shape == (3, SIZE, SIZE)
    for form in (bytearray(file), memoryview(file), stored, str(stored)):
        assert torch.equal(codec.decompress(form), alone)
    for picture in codec.decompress([file, stored]):
        torch.testing.assert_close(picture, alone, rtol=1e-4, atol=1e-4)
    assert codec.compress([]) == codec.decompress([]) == []


def test_what_was_decoded_can_be_coded_again(codec: Codec):
    shown = codec.decompress(codec.compress(TENSOR, 1))
    assert shown.min() == -1, "untrained networks show more than there is"
    assert codec.compress(shown, value_range=(-1, 1))


def test_pictures_of_several_sizes_go_together(codec: Codec):
    pictures = [TENSOR, TENSOR[:, :20, :20], torch.cat([TENSOR, TENSOR.flip(1)], 1).repeat(1, 1, 2)]
    shown = codec.decompress(codec.compress(pictures))
    assert [picture.shape[-1] for picture in shown] == [SIZE, 20, 2 * SIZE]


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (EXPECTED * 2, r"values from -2 to .* in \[-1, 1\]: scale it"),
        (EXPECTED * 127.5, "value_range"),
        (EXPECTED / 2 + 0.5, r"in \[0, 1\] or a bright one"),
        (torch.full((3, 8, 8), torch.nan), "values from nan"),
        (TENSOR.long(), r"torch\.int64 is not an image: give uint8, or floats"),
        (TENSOR.permute(1, 2, 0), "colour channels first"),
        (TENSOR[0], r"shape \(32, 32\) is not an image"),
        (TENSOR[None, None], "is not an image"),
        (TENSOR[:1], "colour channels first"),
        (TENSOR[:, :0, :0], "is not an image"),
        (PIXELS.astype(np.float32), r"float32 \[32, 32, 3\] is not an image: give uint8"),
        (PIXELS.transpose(2, 0, 1), r"give uint8 \[H, W, 3\]"),
        (PIXELS[..., 0], "is not an image"),
        (None, "a NoneType is not an image: give a PIL image"),
        ([TENSOR, 3], "a int is not an image"),
        (b"bytes", "a bytes is not an image"),
        ("nowhere.png", r"nowhere\.png: no such file"),
        (TENSOR[:, :16], "32x16 is not square.*`hsc encode --align`"),
    ],
)
def test_what_is_no_picture_is_refused(codec: Codec, picture, message: str):
    with pytest.raises(HscError, match=message) as refused:
        codec.compress(picture)
    assert "\n" not in str(refused.value)


def test_a_file_must_be_bytes_or_a_path(codec: Codec):
    for wrong in (3, [None]):
        with pytest.raises(HscError, match=r"is not an \.hsc file: give bytes or a path"):
            codec.decompress(wrong)


def test_a_bright_picture_is_coded_when_its_range_is_said(codec: Codec):
    bright = EXPECTED / 2 + 0.5
    assert codec.compress(bright, value_range=(-1, 1)) != codec.compress(bright, value_range=(0, 1))


def test_pictures_are_read_when_their_turn_comes(tmp_path: Path):
    single, pictures = to_tensors([TENSOR, tmp_path / "nowhere.png"])
    assert not single
    assert torch.equal(next(pictures), EXPECTED)
    with pytest.raises(HscError, match="nowhere"):
        next(pictures)


def test_memory_follows_pixels(codec: Codec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Only as many pictures are read, and files decoded, at a time as go through the networks together."""
    monkeypatch.setattr(images, "PIXELS_AT_ONCE", 4 * SIZE**2)
    paths = [tmp_path / f"{index}.png" for index in range(10)]
    for path in paths:
        Image.fromarray(PIXELS).save(path)
    events: list[str] = []
    for owner, verb in ((images, "load_image"), (codec, "analyse"), (codec, "synthesise")):
        inner = getattr(owner, verb)

        def noted(*given, inner=inner, verb=verb, **named):
            events.append(
                verb if verb == "load_image" else f"{verb} {len(given[0] if verb == 'analyse' else given[1])}"
            )
            return inner(*given, **named)

        monkeypatch.setattr(owner, verb, noted, raising=False)
    files = codec.compress(paths)
    read, analysed = "load_image", "analyse"
    assert events == [*[read] * 4, f"{analysed} 4", *[read] * 4, f"{analysed} 4", *[read] * 2, f"{analysed} 2"]
    events.clear()
    codec.decompress(files)
    assert events == ["synthesise 4", "synthesise 4", "synthesise 2"]


@pytest.mark.parametrize("size", [32, 128, 1024, 4096])
def test_pixels_at_once_are_bounded(size: int):
    assert 1 <= pictures_at_once(size) <= max(1, PIXELS_AT_ONCE // size**2)


def test_what_a_codec_says_of_itself(codec: Codec):
    assert repr(codec).startswith(f"Codec tiny ({codec.model_id:04x}): 32x32 faces, layers basic, middle, enhanced")
    shown = codec._repr_html_()
    assert "<td>enhanced</td><td>2</td><td>8</td><td>16</td>" in shown
