"""Weights between stages: those that a stage leaves, and those that the next one starts from."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from hsc.checkpoints import load_discriminator, load_generator, weights_file
from hsc.config import Config, ModelConfig, StageConfig, check, model_from_dict
from hsc.data.module import FaceDataModule
from hsc.errors import HscError
from hsc.files import sha256
from hsc.modules.base import TrainableModule
from hsc.modules.codec import CodecModule
from hsc.nets.mobile_stylegan import MobileStyleGAN
from hsc.released import find_weights
from hsc.training.eigenfaces import holds_eigenfaces, start_as_eigenfaces
from hsc.training.terminal import say

KIND = "stage"  # of weights files: the result of a stage
DRAWN_FROM_PICTURES = tuple(f"decoder.heads.{part}." for part in ("styles", "modulation", "mend"))  # of PictureHeads
COUNTERS = ("batches_seen", "augmentation", "path_length")


def save_stage(path: Path, module: TrainableModule, model: dict) -> None:
    """Write a finished stage's networks (averaged), without counters."""
    tensors = {name: value for name, value in module.state_dict().items() if not name.startswith(COUNTERS)}
    weights_file.save(path, tensors, KIND, model)


def with_model_of(config: Config) -> Config:
    """The config with the networks of the weights that `model_of` names.

    Raises HscError if the config also describes networks of its own, or the weights do not describe theirs.
    """
    if config.model_of is None:
        return config
    path = find_weights(config.model_of)
    if not weights_file.is_safetensors(path):
        raise HscError(f"config: model_of: {path} does not describe its networks; write them under model:")
    model = model_from_dict(weights_file.describe(path).config)
    if config.model not in (ModelConfig(), model):
        raise HscError("config: model_of and model: cannot be combined; leave out one of them")
    taken = replace(config, model=model)
    check(taken)
    return taken


def outside_start(stage: StageConfig) -> Path | None:
    """The weights file from outside the run that a stage's `init` names; None if it names none.

    Raises HscError if there is no such file.
    """
    if stage.init is None or stage.init == "fresh" or stage.init.startswith("stage:"):
        return None
    return find_weights(stage.init)


def start_file(stage: StageConfig, finished: dict[str, Path], previous: Path | None) -> Path | None:
    """The weights file that a stage starts from: its `init`, else the previous stage's result, else None (fresh)."""
    if stage.init is None:
        return previous
    if stage.init.startswith("stage:"):
        name = stage.init.removeprefix("stage:")
        if name not in finished:
            raise HscError(f"config: init: {stage.init!r}: no stage {name!r} runs before this one")
        return finished[name]
    return outside_start(stage)


def set_starting_weights(
    config: Config, name: str, module: TrainableModule, start: Path | None, data: FaceDataModule
) -> None:
    """Load the weights that a stage starts from into the module, and report which they are."""
    if start is not None:
        fresh = load_start(module, start)
        if config.stages[name].adversarial.freeze_blocks and "decoder.discriminator" in fresh:
            raise HscError(
                f"config: stages.{name}.adversarial.freeze_blocks: {start} contains no discriminator; start from "
                "NVlabs' .pkl, rosinality's training checkpoint or a prior stage's weights.safetensors, or set it to 0"
            )
        say(f"{name}: starting from {start}" + (f"; new: {', '.join(fresh)}" if fresh else ""))
    if (full := config.stages[name].init_full) is not None:
        assert isinstance(module, CodecModule)
        load_full_size(module, find_weights(full))
        say(f"{name}: the full size is initialised from {full}")
    if config.model.linear_path and not (start is not None and holds_eigenfaces(start, module)):
        say(f"{name}: latents are initialised as principal components of the training faces")
        start_as_eigenfaces(module, data)


def load_start(module: nn.Module, path: Path) -> list[str]:
    """Load every tensor that both have; returns the parts of the module that keep their fresh weights.

    From a codec whose decoder works from pictures, only the tensors that fit are loaded, since it suits any code.
    Otherwise raises HscError if a tensor of the same name has another shape; always if nothing fits at all.
    """
    held = _stage_tensors(path)
    own = module.state_dict()
    common = {name: value for name, value in held.items() if name in own}
    misfits = [name for name, value in common.items() if value.shape != own[name].shape]
    must_fit: tuple[str, ...] = ("",)
    if any(name.startswith(DRAWN_FROM_PICTURES) for name in common):
        must_fit = ("decoder.generator.", *DRAWN_FROM_PICTURES)
    if any(name.startswith(must_fit) for name in misfits):
        there, here = (tuple(tensors[misfits[0]].shape) for tensors in (common, own))
        raise HscError(
            f"{path}: {misfits[0]} is {there} there and {here} in this model; "
            "make the model's config equal to the one the weights were trained with"
        )
    for name in misfits:
        del common[name]
    if not common:
        raise HscError(f"{path}: contains no weights that this model could start from")
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in common.items()}, strict=False)
    ignored: tuple[str, ...] = (*COUNTERS, "entropy.gain")
    if isinstance(module, CodecModule):  # has no use for it, and codec files do not hold it
        ignored = (*ignored, "decoder.generator.mapping_network.")
    return sorted(
        {".".join(name.split(".")[:2]) for name in own.keys() - common.keys() if not name.startswith(ignored)}
    )


def load_full_size(module: CodecModule, path: Path) -> None:
    """Initialise the layers of the generator's full size, except those shared, from a generator of that size.

    Raises HscError if the file does not have these widths.
    """
    generator, given = module.decoder.generator, load_generator(path)
    if not isinstance(generator, MobileStyleGAN) or not isinstance(given, MobileStyleGAN):
        raise HscError(f"{path}: is not a mobilestylegan; only those have two sizes")
    try:
        generator.take_full_size(given)
    except (RuntimeError, KeyError) as error:
        raise HscError(f"{path}: its layers do not have the widths of model.generator.full") from error


def fingerprint(path: Path | None) -> str:
    """Identifies starting weights by content."""
    return "fresh" if path is None else sha256(path)


def _stage_tensors(path: Path) -> dict[str, Tensor]:
    """The file's tensors, named as in a stage."""
    if weights_file.is_safetensors(path):
        held = weights_file.load(path)
        if held.kind in (KIND, "codec"):
            return {name: value.float() if value.is_floating_point() else value for name, value in held.tensors.items()}
    with torch.no_grad():
        generator = load_generator(path)
    tensors = {f"decoder.generator.{name}": value for name, value in generator.state_dict().items()}
    return tensors | {f"decoder.discriminator.{name}": value for name, value in load_discriminator(path).items()}
