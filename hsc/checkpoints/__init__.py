"""Reading and writing weights: hsc's safetensors, and generators of NVlabs, rosinality and pSp."""

from hsc.checkpoints.generators import (
    LAYOUTS,
    describe,
    export_generator,
    import_generator,
    is_imported,
    load_discriminator,
    load_generator,
    save_generator,
)

__all__ = [
    "LAYOUTS",
    "describe",
    "export_generator",
    "import_generator",
    "is_imported",
    "load_discriminator",
    "load_generator",
    "save_generator",
]
