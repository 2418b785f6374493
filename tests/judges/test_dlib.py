"""dlib's recogniser and landmarks at a fixed place, on real faces."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from hsc.images import resize, to_tensor


def test_a_blurred_face_stays_nearest_to_its_own_original(faces, judge) -> None:
    originals = faces[:6]
    blurred = resize(resize(originals, 48), 128)
    gallery, queries = judge("dlib")(originals), judge("dlib")(blurred)
    distances = torch.cdist(queries, gallery)
    assert gallery.shape == (6, 128)
    assert distances.argmin(1).tolist() == list(range(6))
    assert (distances.diagonal() < judge("dlib").threshold).all()


def test_68_points_lie_where_ffhq_puts_eyes_and_chin(faces, judge) -> None:
    points = judge("dlib68")(resize(faces, 256))
    right, left = (points[:, corner].mean(0) for corner in judge("dlib68").outer_eye_corners)
    torch.testing.assert_close(
        torch.stack([right, left]), torch.tensor([[84.0, 122.0], [172.0, 122.0]]), atol=4, rtol=0
    )
    assert (points[:, 8, 1] > 200).all()


def test_points_scale_with_the_picture(faces, judge) -> None:
    small, large = judge("dlib68")(faces[:4]), judge("dlib68")(resize(faces[:4], 512))
    assert (small * 4 - large).abs().mean() < 4


def test_the_detector_finds_faces_and_nothing_in_noise(faces, judge) -> None:
    noise = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert judge("dlib68").detects(faces).float().mean() > 0.9
    assert not judge("dlib68").detects(noise).any()


def orl_aligned(folder: Path, people: int, pictures: int) -> tuple[Tensor, Tensor]:
    """ORL faces that dlib's detector finds, aligned as FFHQ aligns them, and who they are."""
    import dlib

    from hsc.judges import weights

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(weights.locate("dlib68")))
    images, labels = [], []
    with zipfile.ZipFile(folder / "orl.zip") as archive:
        for person in range(1, people + 1):
            for picture in range(1, pictures + 1):
                grey = Image.open(archive.open(f"s{person:02}/{picture:02}.pgm")).resize(
                    (368, 448), Image.Resampling.BICUBIC
                )
                pixels = np.array(grey.convert("RGB"))
                found = detector(pixels, 1)
                if not found:
                    continue
                box = max(found, key=lambda box: box.area())
                points = np.array([(point.x, point.y) for point in predictor(pixels, box).parts()])
                images.append(to_tensor(ffhq_crop(grey, points)))
                labels.append(person)
    return torch.stack(images), torch.tensor(labels)


def ffhq_crop(image: Image.Image, points: np.ndarray) -> Image.Image:
    """FFHQ's crop: a square turned with the eyes, sized by the distances of eyes and mouth."""
    right, left, mouth = points[36:42].mean(0), points[42:48].mean(0), points[[48, 54]].mean(0)
    eyes, across = (right + left) / 2, left - right
    down = mouth - eyes
    x = across - np.array([-down[1], down[0]])
    x *= max(np.hypot(*across) * 2, np.hypot(*down) * 1.8) / np.hypot(*x)
    y = np.array([-x[1], x[0]])
    center = eyes + 0.1 * down
    corners = np.stack([center - x - y, center - x + y, center + x + y, center + x - y])
    return image.convert("RGB").transform(
        (256, 256), Image.Transform.QUAD, corners.flatten(), Image.Resampling.BILINEAR
    )


def verification(descriptors: Tensor, labels: Tensor) -> tuple[float, float]:
    """Area under the ROC curve of all pairs, and the share of faces whose nearest other face is the same person's."""
    distances = torch.cdist(descriptors, descriptors)
    same = labels[:, None] == labels
    pairs = torch.triu(torch.ones_like(same), 1).bool()
    genuine, impostor = distances[pairs & same], distances[pairs & ~same]
    auc = (genuine[:, None] < impostor).float().mean()
    nearest = distances.fill_diagonal_(torch.inf).argmin(1)
    return auc.item(), (labels[nearest] == labels).float().mean().item()


@pytest.fixture(scope="module")
def orl(data_dir: Path) -> tuple[Tensor, Tensor]:
    """The first pictures of the first people of ORL, aligned, and who they are."""
    people, pictures = (int(os.environ.get(f"HSC_ORL_{what}", n)) for what, n in (("PEOPLE", 20), ("PICTURES", 4)))
    images, labels = orl_aligned(data_dir, people, pictures)
    assert len(images) >= 0.98 * people * pictures
    return images, labels


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least_auc", "least_rank1"),
    [("dlib", 0.999, 0.98), ("identity_student", 0.97, 0.9), ("faceres", 0.99, 0.98)],
)
def test_it_tells_the_people_of_orl_apart(
    name: str, least_auc: float, least_rank1: float, orl: tuple[Tensor, Tensor], judge
) -> None:
    """HSC_ORL_PEOPLE=40 HSC_ORL_PICTURES=10 runs the whole set."""
    images, labels = orl
    descriptors = torch.cat([judge(name)(part) for part in images.split(8)])
    auc, rank1 = verification(descriptors, labels)
    print(f"{name}, {len(images)} aligned pictures of ORL: AUC {auc:.4f}, rank-1 {rank1:.3f}")
    assert auc >= least_auc
    assert rank1 >= least_rank1
