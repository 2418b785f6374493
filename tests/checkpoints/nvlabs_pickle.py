"""Pickles as NVlabs' training code writes them, made with stand-ins for the modules that their loader would import."""

import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from hsc.nets.stylegan2 import StyleGAN2

# The source that their loader would execute. Here it would leave a trace.
SOURCE = "import builtins\nbuiltins.hsc_ran_source = True\nclass Generator: pass\n"


def nvlabs_state(generator: StyleGAN2) -> dict[str, Tensor]:
    """A generator's tensors under the names used in `G_ema`."""
    return {key.replace("_network.", ".", 1): value for key, value in generator.state_dict().items()}


def network_pickle(
    state: dict[str, Tensor], protocol: int = 4, discriminator: dict[str, Tensor] | None = None, **more: Any
) -> bytes:
    """A complete training snapshot in which G_ema (and D) have the given state (dotted names)."""
    with _stand_ins() as (easy_dict, persistent):

        def network(tensors: dict[str, Tensor], class_name: str) -> object:
            tree = _tree(tensors, persistent, class_name)
            tree.attributes |= {"z_dim": 16, "_init_kwargs": easy_dict(z_dim=16, nested=easy_dict(cut=0.5))}
            return tree

        snapshot = {
            "G": network({"synthesis.b4.const": torch.full((3, 4, 4), 7.0)}, "Generator"),
            "D": network(discriminator or {"b4.fc.weight": torch.ones(2, 2)}, "Discriminator"),
            "G_ema": network(state, "Generator"),
            "augment_pipe": None,
            "training_set_kwargs": easy_dict(class_name="training.dataset.ImageFolderDataset", path="x.zip"),
            **more,
        }
        return pickle.dumps(snapshot, protocol)


class Tree:
    """A persistent module: it is pickled as a call with its source, class name and attributes."""

    def __init__(self, reconstruct: Any, class_name: str) -> None:
        self.reconstruct = reconstruct
        self.class_name = class_name
        self.attributes: dict[str, Any] = {
            "training": False,
            "_parameters": OrderedDict(),
            "_buffers": OrderedDict(),
            "_non_persistent_buffers_set": {"scratch"},
            "_modules": OrderedDict(),
            "_forward_hooks": OrderedDict(),
        }
        self.attributes["_buffers"]["scratch"] = torch.zeros(3)

    def __reduce__(self) -> tuple:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": SOURCE,
            "class_name": self.class_name,
            "state": self.attributes,
        }
        return self.reconstruct, (meta,), None


def _tree(tensors: dict[str, Tensor], persistent: Any, class_name: str) -> Tree:
    tree = Tree(persistent, class_name)
    for name, tensor in tensors.items():
        *path, leaf = name.split(".")
        node = tree
        for part in path:
            node = node.attributes["_modules"].setdefault(part, Tree(persistent, "Layer"))
        if leaf in ("resample_filter", "noise_const", "w_avg") or not tensor.is_floating_point():
            node.attributes["_buffers"][leaf] = tensor
        else:
            node.attributes["_parameters"][leaf] = nn.Parameter(tensor)
    return tree


@contextmanager
def _stand_ins() -> Iterator[tuple[Any, Any]]:
    """Importable `dnnlib.util.EasyDict` and `torch_utils.persistence._reconstruct_persistent_obj` while pickling."""

    def _reconstruct_persistent_obj(meta: dict) -> None:
        raise AssertionError("this is only a name")

    easy_dict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    _reconstruct_persistent_obj.__module__ = "torch_utils.persistence"
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    modules = {name: ModuleType(name) for name in ("dnnlib", "dnnlib.util", "torch_utils", "torch_utils.persistence")}
    modules["dnnlib.util"].EasyDict = easy_dict  # type: ignore[attr-defined]
    modules["torch_utils.persistence"]._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        yield easy_dict, _reconstruct_persistent_obj
    finally:
        for name in modules:
            del sys.modules[name]
