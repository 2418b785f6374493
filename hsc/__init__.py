"""Hierarchical scalable face coding with a StyleGAN prior.

`hsc.load(model)` gives a `Codec`: `.compress(face, bytes=120)` makes a file, `.decompress(file, layers=2)` shows it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsc.codec import Codec
    from hsc.codec_file import load

__version__ = "0.1.0"
__all__ = ["Codec", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # `import hsc` stays light: torch is imported when a codec is asked for.
    if name == "load":
        from hsc.codec_file import load

        return load
    if name == "Codec":
        from hsc.codec import Codec

        return Codec
    raise AttributeError(f"module 'hsc' has no attribute {name!r}")
