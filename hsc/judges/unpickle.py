"""Reading arrays out of a pickle without running anything that it asks for."""

import io
import pickle
from typing import Any

import numpy as np
from numpy._core.multiarray import _reconstruct

from hsc.errors import HscError

# What a pickled numpy array needs, under the module names of old and new numpy; nothing here runs foreign code.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside of itself")


def read_arrays(content: bytes, name: str) -> dict[str, np.ndarray]:
    """The arrays of a pickled nest of dicts, by their path ("Conv_0/kernel").

    Raises HscError naming `name` when the pickle holds anything but dicts, strings and arrays of numbers, or is torn.
    """
    try:
        return dict(_flatten(_ArrayUnpickler(io.BytesIO(content)).load()))
    except Exception as error:  # a hostile or torn pickle can raise anything
        raise HscError(f"{name} is not read: a plain pickle of arrays was expected, but {error}") from error


def _flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, np.ndarray]]:
    if not isinstance(tree, dict):
        raise pickle.UnpicklingError(f"{prefix or 'the top'} is a {type(tree).__name__}")
    arrays: list[tuple[str, np.ndarray]] = []
    for key, value in tree.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            arrays.append((f"{prefix}{key}", value))
        else:
            arrays += _flatten(value, f"{prefix}{key}/")
    return arrays
