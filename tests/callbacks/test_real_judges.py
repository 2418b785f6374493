"""Real judges on real faces, through the callbacks."""

import pytest
import torch
from codec_double import LAYERS, BlurCodec
from torch.utils.data import DataLoader

from hsc.callbacks import IdentityAccuracyCallback, LandmarkErrorCallback, PerceptualCallback
from hsc.data.faces import open_faces
from hsc.images import to_tensor
from hsc.judges import NotAvailable, load_judge

JUDGES = {"lpips": "lpips.alex", "psnr": "psnr"}


@pytest.fixture(scope="module")
def values(data_dir, trainer, tmp_path_factory) -> dict[str, float]:
    """Metrics of six faces averaged over squares of 8, 4 and 2 pixels."""
    for name in (*JUDGES.values(), "dlib", "dlib68"):
        try:
            load_judge(name)
        except NotAvailable as error:
            pytest.skip(str(error))
    faces = open_faces(data_dir / "ffhq128.zip")
    images = [(to_tensor(faces.load(name)), name) for name in faces.names[-6:]]
    items = [{"image": image, "name": name, "index": number} for number, (image, name) in enumerate(images)]
    callbacks = [PerceptualCallback(JUDGES), IdentityAccuracyCallback("dlib"), LandmarkErrorCallback("dlib68")]
    runner = trainer(tmp_path_factory.mktemp("real"), logger=False, callbacks=callbacks)
    codec = BlurCodec()
    torch.nn.init.ones_(codec.blur)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HSC_CACHE", str(tmp_path_factory.mktemp("cache")))
        (found,) = runner.validate(codec, DataLoader(items, batch_size=4), verbose=False)
    return found


def of_layers(values: dict[str, float], name: str) -> list[float]:
    return [values[f"val/{layer}/{name}"] for layer in LAYERS]


@pytest.mark.parametrize("name", ["lpips", "landmark_nme", "identity_distance", "psnr"])
def test_finer_images_are_nearer(values, name):
    found = of_layers(values, name)
    assert found == sorted(found, reverse=name != "psnr")


def test_the_finest_are_recognised_and_the_coarsest_are_not_even_detected(values):
    assert of_layers(values, "identity_accuracy")[-1] == 1
    assert of_layers(values, "identity_distance")[-1] < 0.6 < of_layers(values, "identity_distance")[0]
    assert of_layers(values, "detection_rate")[0] < of_layers(values, "detection_rate")[-1]
    assert 0.005 < of_layers(values, "landmark_nme")[-1] < 0.05
    assert 15 < of_layers(values, "psnr")[0] < of_layers(values, "psnr")[-1] < 40
