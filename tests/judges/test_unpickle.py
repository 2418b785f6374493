"""Pickles are read as data: whatever else they ask for is refused, and nothing of it runs."""

import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from hsc.errors import HscError
from hsc.judges.unpickle import read_arrays


class Calls:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_nested_arrays_come_out_by_their_paths() -> None:
    tree = {"Conv_0": {"kernel": np.arange(6.0).reshape(2, 3), "bias": np.ones(3, "f4")}, "steps": np.array([7])}
    arrays = read_arrays(pickle.dumps(tree, protocol=3), "it")
    assert set(arrays) == {"Conv_0/kernel", "Conv_0/bias", "steps"}
    np.testing.assert_array_equal(arrays["Conv_0/kernel"], tree["Conv_0"]["kernel"])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_is_refused_and_not_made(tmp_path: Path, protocol: int) -> None:
    trap = tmp_path / "sprung"
    content = pickle.dumps({"weights": Calls(Path.touch, trap)}, protocol)
    with pytest.raises(HscError, match=r"hostile\.ckpt is not read"):
        read_arrays(content, "hostile.ckpt")
    assert not trap.exists()
    pickle.loads(content)
    assert trap.exists(), "the pickle would not have done anything"


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"a": OrderedDict()}),
        pickle.dumps({"a": Calls(eval, "1")}),
        pickle.dumps({"a": Calls(np.load, "file.npy")}),
        pickle.dumps({"a": np.array([print], dtype=object)}),
        pickle.dumps({"a": np.array([{}], dtype=object)}),
        pickle.dumps([np.ones(2)]),
        pickle.dumps({"a": 1.0}),
        pickle.dumps({"a": np.ones(100)})[:-50],
        b"",
        b"no pickle",
    ],
)
def test_anything_but_arrays_of_numbers_is_refused(content: bytes) -> None:
    with pytest.raises(HscError, match="it is not read"):
        read_arrays(content, "it")
