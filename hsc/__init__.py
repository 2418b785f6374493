"""Hierarchical scalable face coding with a StyleGAN prior.

`hsc.load(model)` gives a codec: `.compress(images) → list[bytes]`, `.decompress(files, layers=2) → images`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsc.codec_file import load

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    # `import hsc` stays light: torch is imported when a codec is asked for.
    if name == "load":
        from hsc.codec_file import load

        return load
    raise AttributeError(f"module 'hsc' has no attribute {name!r}")
