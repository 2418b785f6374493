"""Real faces, and judges that skip the test if their weights are not on this machine."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from hsc.images import load_image, to_tensor
from hsc.judges import Judge, NotAvailable, load_judge


@pytest.fixture(scope="session")
def faces(data_dir: Path) -> Tensor:
    """Twelve FFHQ faces, [12, 3, 128, 128]."""
    with zipfile.ZipFile(data_dir / "ffhq128.zip") as archive:
        return torch.stack([to_tensor(load_image(archive.open(f"{n:05}.jpg"))) for n in range(4000, 4012)])


@pytest.fixture(scope="session")
def judge() -> Callable[[str], Judge]:
    """`judge(name)`: the judge, or a skip that says how to get it."""

    def load(name: str) -> Judge:
        try:
            return load_judge(name)
        except NotAvailable as reason:
            pytest.skip(str(reason))

    return load
