"""Features for distances between distributions."""

import dataclasses
from pathlib import Path

import pytest
import torch

from hsc.files import sha256
from hsc.images import resize, to_uint8
from hsc.judges import NotAvailable, backbones, weights
from hsc.judges.features import InceptionFeatures


def test_vgg16_features_are_relu5_3_of_the_normalised_picture(faces, judge) -> None:
    from torchvision.transforms.v2.functional import normalize

    features = judge("vgg16")(faces[:2])
    picture = normalize((resize(faces[:2], 224) + 1) / 2, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = backbones.vgg16()(picture).mean((2, 3))
    assert features.shape == (2, 512)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-4)


def test_inception_without_its_weights_says_where_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSC_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NotAvailable, match=rf"inception not available: put weights-inception.*at {tmp_path}/weights/"):
        InceptionFeatures()


def test_inception_reads_its_file_through_torch_fidelity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faces
) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    place = tmp_path / "weights" / weights.TABLE["inception"].file
    place.parent.mkdir()
    # A file with the right shapes: the weights of an extractor with its random initial values.
    with monkeypatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda url, progress: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        extractor = module.FeatureExtractorInceptionV3("inception", ["2048"])
    torch.save(extractor.state_dict(), place)
    monkeypatch.setenv("HSC_CACHE", str(tmp_path))
    monkeypatch.setitem(
        weights.TABLE, "inception", dataclasses.replace(weights.TABLE["inception"], sha256=sha256(place))
    )
    expected = extractor(torch.from_numpy(to_uint8(faces[:2])).permute(0, 3, 1, 2))[0]
    torch.testing.assert_close(InceptionFeatures()(faces[:2]), expected)
