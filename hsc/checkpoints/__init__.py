"""Reading and writing weights: hsc's safetensors, and generators of NVlabs, rosinality and pSp."""

from hsc.checkpoints.face_model import FaceModel, images_at_a_time, load_face_model
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
    "FaceModel",
    "describe",
    "export_generator",
    "images_at_a_time",
    "import_generator",
    "is_imported",
    "load_discriminator",
    "load_face_model",
    "load_generator",
    "save_generator",
]
