"""Video codecs applied to single still pictures, run by the ffmpeg of imageio-ffmpeg.

All three code the same picture: 8-bit RGB → 10-bit YCbCr 4:2:0, BT.709 matrix, limited range, and back, by ffmpeg's
scaler. Encoders write files, never pipes: libvvenc prints a warning on standard output at small sizes, which
would land in the stream. One thread per process, since images are coded in parallel; it does not affect the bytes.
"""

import functools
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hsc.errors import HscError
from hsc.evaluation.anchors.base import Anchor, AnchorNotAvailable
from hsc.evaluation.anchors.streams import av1_frame_bytes, hevc_slice_bytes, vvc_slice_bytes

_TO_YUV = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le"
# Without these flags the scaler's fast path darkens the picture by two grey levels (9 dB at VVC QP 11).
_TO_RGB = "scale=in_color_matrix=bt709:in_range=tv:flags=accurate_rnd+full_chroma_int,format=rgb24"


class FFmpegAnchor(Anchor):
    """One of ffmpeg's encoders. A subclass names the encoder, its options with `{quality}`, the raw format it writes,
    and the parser that counts the picture's bytes."""

    encoder: str
    options: str
    format: str
    count: Callable[[bytes], int]

    def __init__(self) -> None:
        self.settings = f"{_TO_YUV} | {self.encoder} {self.options} -f {self.format} | {_TO_RGB}"

    def version(self) -> str:
        if self.encoder not in _encoders():
            raise AnchorNotAvailable(
                f"{self.name} is not available: {_executable()} has no {self.encoder}; "
                "use imageio-ffmpeg 0.8.1 or later for Linux, pip install 'hsc[anchors]'"
            )
        return _version()

    def encode(self, image: np.ndarray, quality: int) -> bytes:
        height, width = _even(image.shape[:2])
        # 4:2:0 needs even sides; `decode` cuts the repeated edge off again.
        image = np.pad(image, ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0)), mode="edge")
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
        options = self.options.format(quality=quality).split()
        coding = ["-vf", _TO_YUV, "-c:v", self.encoder, *options, "-threads", "1", "-f", self.format]
        return _convert(np.ascontiguousarray(image).tobytes(), raw, coding)

    def decode(self, file: bytes, shape: tuple[int, int]) -> np.ndarray:
        pixels = _convert(file, ["-threads", "1", "-f", self.format], ["-vf", _TO_RGB, "-f", "rawvideo"])
        height, width = shape
        return np.frombuffer(pixels, np.uint8).reshape(*_even(shape), 3)[:height, :width]

    def slice_bytes(self, file: bytes) -> int:
        return type(self).count(file)


class VVC(FFmpegAnchor):
    """H.266 by libvvenc, preset slower, perceptual adaptation off. The intra slice is coded at QP − 3.

    `intraperiod=1` tells the encoder that every picture is intra, which shrinks the parameter sets (59 bytes for the
    sequence's instead of 166): a file carries 83 bytes of headers.
    """

    name = "vvc"
    scale = range(63, -1, -1)
    qualities = (63, 60, 57, 55, 52, 47, 42, 37, 32)  # dense at the rates of generative codecs
    encoder, format = "libvvenc", "vvc"
    options = "-preset slower -qp {quality} -g 1 -vvenc-params qpa=0:intraperiod=1"
    count = staticmethod(vvc_slice_bytes)


class HEVC(FFmpegAnchor):
    """H.265 by x265, preset veryslow. `ipratio=1` codes the picture at the given QP, `info=0` omits encoder info."""

    name = "hevc"
    scale = range(51, -1, -1)
    qualities = (51, 47, 42, 37, 32, 27)
    encoder, format = "libx265", "hevc"
    options = "-preset veryslow -qp {quality} -x265-params info=0:keyint=1:ipratio=1:log-level=error"
    count = staticmethod(hevc_slice_bytes)


class AV1(FFmpegAnchor):
    """AV1 by libaom in still-picture mode, speed 3; a bare stream of OBUs."""

    name = "av1"
    scale = range(63, -1, -1)
    qualities = (63, 61, 58, 55, 50, 45, 40, 32)
    encoder, format = "libaom-av1", "obu"
    options = "-still-picture 1 -cpu-used 3 -crf {quality} -b:v 0"
    count = staticmethod(av1_frame_bytes)


def _even(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width rounded up to even numbers."""
    height, width = shape
    return height + height % 2, width + width % 2


def _convert(content: bytes, reading: list[str], writing: list[str]) -> bytes:
    """Run ffmpeg on one picture, from file to file, with options for input and output.

    Raises HscError with ffmpeg's last line of output if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="hsc-anchor-") as folder:
        source, target = Path(folder, "source"), Path(folder, "target")
        source.write_bytes(content)
        command = [_executable(), "-nostdin", "-y", "-loglevel", "error"]
        command += [*reading, "-i", str(source), "-frames:v", "1", *writing, str(target)]
        finished = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if finished.returncode == 0:
            return target.read_bytes()
    said = finished.stderr.decode(errors="replace").strip().splitlines() or ["it printed nothing"]
    raise HscError(f"ffmpeg failed ({said[-1]}); the command was: {' '.join(command)}")


@functools.cache
def _executable() -> str:
    try:
        import imageio_ffmpeg
    except ModuleNotFoundError as error:
        raise AnchorNotAvailable(
            "vvc, hevc and av1 are not available: they need imageio-ffmpeg, pip install 'hsc[anchors]'"
        ) from error
    return imageio_ffmpeg.get_ffmpeg_exe()


@functools.cache
def _version() -> str:
    text = subprocess.run([_executable(), "-version"], capture_output=True, text=True, check=True).stdout
    return text.splitlines()[0].split(" Copyright")[0]


@functools.cache
def _encoders() -> frozenset[str]:
    text = subprocess.run(
        [_executable(), "-hide_banner", "-encoders"], capture_output=True, text=True, check=True
    ).stdout
    return frozenset(line.split()[1] for line in text.splitlines() if line.startswith(" V"))
