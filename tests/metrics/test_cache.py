"""A judge's answers for originals are cached until the judge changes."""

import torch

from hsc.metrics.cache import RememberedAnswers


class Brightness:
    """A judge that counts the images it receives."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor, self.asked = factor, 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.asked += len(images)
        return self.factor * torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], dim=1)


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_asks_once_for_each_image_whatever_the_batch():
    judge = Brightness()
    remembered = RememberedAnswers(judge)
    first = remembered(images(6))
    again = remembered(images(6).flip(0))
    assert judge.asked == 6
    assert torch.equal(first, again.flip(0))
    remembered(torch.cat([images(6), images(2, seed=1)]))
    assert judge.asked == 8


def test_answers_on_the_disk_serve_the_next_run(tmp_path):
    remembered = RememberedAnswers(Brightness(), tmp_path)
    first = remembered(images(6))
    remembered.save()
    remembered.save()
    assert len(list(tmp_path.iterdir())) == 1
    judge = Brightness()
    assert torch.equal(RememberedAnswers(judge, tmp_path)(images(6)), first)
    assert judge.asked == 1  # one image, to check that it is the same judge


def test_answers_of_another_judge_are_dropped(tmp_path):
    before = RememberedAnswers(Brightness(), tmp_path)
    before(images(6))
    before.save()
    judge = Brightness(factor=1.1)
    assert torch.allclose(RememberedAnswers(judge, tmp_path)(images(6)), 1.1 * before(images(6)))
    assert judge.asked == 7


def test_a_broken_file_is_ignored(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    judge = Brightness()
    RememberedAnswers(judge, tmp_path)(images(2))
    assert judge.asked == 2
