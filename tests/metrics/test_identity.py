"""Ranks, distances and verification compared with plain implementations of their definitions."""

import pytest
import torch
from torchmetrics.functional.classification import binary_auroc

from hsc.metrics.identity import IdentityAccuracy, gallery_ranks, verification_scores


def embeddings(count: int, seed: int, dimensions: int = 16) -> torch.Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def names(count: int) -> list[str]:
    return [f"face-{index}" for index in range(count)]


def test_ranks_by_sorting_each_row():
    gallery = embeddings(150, 0)
    own = torch.arange(130)
    decoded = gallery[own] + 0.8 * embeddings(130, 1)
    distance = (decoded[:, None] - gallery).norm(dim=2)
    expected = [(row.argsort() == index).nonzero().item() + 1 for index, row in enumerate(distance)]
    assert gallery_ranks(decoded, own, gallery).tolist() == expected
    assert 0 < expected.count(1) < 130


def test_accuracy_and_distance():
    originals = torch.tensor([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    decoded = torch.tensor([[1.0, 0.0], [17.0, 0.0], [20.0, 3.0]])  # the second is nearer to the third original
    metric = IdentityAccuracy()
    metric.update(["a", "b", "c"], torch.cat([originals, decoded], dim=1))
    result = metric.compute()
    assert result["identity_accuracy"].item() == pytest.approx(2 / 3)
    assert result["identity_distance"].item() == pytest.approx((1 + 7 + 3) / 3)
    assert metric.gallery_size == 3


def test_a_recogniser_that_maps_all_faces_to_one_point_finds_nobody():
    metric = IdentityAccuracy()
    metric.update(names(5), torch.ones(5, 8))
    assert metric.compute()["identity_accuracy"] == 0


@pytest.fixture
def people():
    """200 probes and references of 20 people, with the label of the person in each."""
    labels = torch.arange(200) % 20
    centres = embeddings(20, 0)[labels]
    return centres + embeddings(200, 1), centres + embeddings(200, 2), labels


def pairs(probes, references, labels):
    different_images = ~torch.eye(len(labels), dtype=torch.bool)
    distance = (probes[:, None] - references).norm(dim=2)
    return distance[different_images], (labels[:, None] == labels)[different_images]


def test_verification_against_plain_definitions(people):
    distance, same = pairs(*people)
    scores = verification_scores(*people, threshold=6.0, far=0.01)
    assert scores.auc == pytest.approx(binary_auroc(-distance, same.int()).item(), abs=1e-6)
    rightly = ((distance < 6)[same].double().mean() + (distance >= 6)[~same].double().mean()) / 2
    assert scores.accuracy == pytest.approx(rightly.item())
    threshold = distance[~same].sort().values[int(0.01 * (~same).sum())]
    assert scores.tar == pytest.approx((distance[same] < threshold).double().mean().item())
    far_from_itself = (people[0][:, None] - people[1]).norm(dim=2).fill_diagonal_(torch.inf)
    identified = people[2][far_from_itself.argmin(dim=1)] == people[2]
    assert scores.identified == identified.double().mean().item()
    assert 0.1 < scores.tar < scores.accuracy < scores.auc < 0.99


def test_indistinguishable_people_give_half():
    scores = verification_scores(torch.zeros(4, 2), torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]), threshold=0.5)
    assert (scores.auc, scores.accuracy, scores.tar) == (0.5, 0.5, 0)


def test_verification_needs_pairs_of_both_kinds():
    for labels in ([0, 0], [0, 1]):
        with pytest.raises(ValueError, match="at least two images of one person"):
            verification_scores(embeddings(2, 0), embeddings(2, 1), torch.tensor(labels))
