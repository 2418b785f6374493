"""Rejection of invalid or meaningless combinations, naming the key's full path, before anything is computed.

Constraints on a single field are part of its type (`schema`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import Any

from omegaconf import MISSING

from hsc.config.schema import (
    BLOCK_GRID,
    LARGEST_LINEAR_PATH,
    MOBILE_STYLEGAN_OWN_LAYERS,
    MOBILE_STYLEGAN_ROWS,
    Config,
    ModelConfig,
    StageConfig,
)
from hsc.config.validation import unknown
from hsc.errors import HscError

TRAINABLE = {
    "prior": {"generator", "mapping", "discriminator"},
    "image_head": {"image_head", "generator"},
    "codec": {"encoder", "gain", "entropy", "heads", "details", "generator", "full", "discriminator"},
}
_FOLDER_NAME = re.compile(r"\w[\w.+-]{0,99}")

SMALLEST_PROJECTED = 64  # pixels per side
SMALLEST_LINEAR_PATH = 8  # pixels per side; in smaller pictures the colour planes have no left and right half
OF_STYLEGAN2 = ("r1_gamma", "r1_every", "freeze_blocks", "ada_target", "ada_kimg")  # adversarial fields
OF_PRIORS = ("path_weight", "path_every", "style_mixing")

# Field of a stage, with dots for nested ones → whether a stage uses it, and the reason if it does not.
USED: dict[str, tuple[Callable[[StageConfig], bool], str]] = {
    "adversarial": (
        lambda stage: stage.is_adversarial,
        "the stage has no discriminator; a codec stage has one with discriminator in its `train`",
    ),
    **{
        f"adversarial.{field}": (
            lambda stage: stage.adversarial.discriminator == "stylegan2",
            "only the stylegan2 discriminator has it",
        )
        for field in OF_STYLEGAN2
    },
    **{
        f"adversarial.{field}": (lambda stage: stage.module == "prior", "only prior stages sample random faces")
        for field in OF_PRIORS
    },
    **{
        field: (lambda stage: stage.module != "prior", "a prior stage is trained by its discriminator alone")
        for field in ("losses", "layer_weights")
    },
    "quantise": (lambda stage: stage.module == "codec", "only codec stages quantise"),
    "layers": (lambda stage: stage.module == "codec", "only codec stages can train a subset of the layers"),
    "round_after": (
        lambda stage: stage.module == "codec" and stage.quantise == "noise",
        "only codec stages with quantise: noise switch to rounding",
    ),
    "prefixes": (lambda stage: stage.quantises, "a stage without quantisation decodes all layers"),
    "init_full": (lambda stage: stage.module == "codec", "only codec stages train the generator's full size"),
    "styles": (lambda stage: stage.module == "codec", "only codec stages compare decoded W+"),
    "decode_with": (lambda stage: stage.quantises, "only codec stages that quantise can show the linear path alone"),
}


def check(config: Config) -> None:
    """Raise HscError for the first invalid combination.

    If the model is given by `model_of`, checks that depend on it are made once its weights have been read.
    """
    _check_names(config)
    if config.model_of is None or config.model != ModelConfig():
        check_model(config.model)
        for name in config.run:
            _check_stage(name, config.stages[name], config)


def check_written(config: Config, written: Mapping[str, Any]) -> None:
    """Raise HscError for missing fields, and for the first field that is set for a stage which ignores it.

    `written`: keys of files and overrides. Fields under `defaults`, and those with the same value, may be ignored by
    stages that do not use them.
    """
    if config.name == MISSING:
        raise HscError("config: name: must be given, such as my-run: it names the run's folder")
    for name in config.run:
        if config.stages[name].data.path == MISSING:
            raise HscError(
                "config: defaults.data.path: must be given: a folder or zip of aligned faces, or a list of them"
            )
        for path, value in _own_fields(name, written):
            if reason := _why_ignored(path, value, config.stages[name], config):
                raise HscError(
                    f"config: stages.{name}.{'.'.join(path)}: {reason}; remove it, or write it under defaults for the "
                    "stages that use it"
                )


def _own_fields(name: str, written: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and value of each field that is set for a stage itself, to a value other than that in `defaults`."""
    for path, value in _leaves(_at(written, ("stages", name)) or {}):
        if value != _at(written, ("defaults", *path)):
            yield path, value


def _why_ignored(path: Sequence[str], value: Any, stage: StageConfig, config: Config) -> str:
    """The reason why a stage does not use a field; empty if it does."""
    for end in range(1, len(path) + 1):
        if (dotted := ".".join(path[:end])) in USED:
            used, reason = USED[dotted]
            if not used(stage):
                return reason
    field, *below = path
    if field == "lr_scale" and below == ["discriminator"]:
        return "the discriminator's rate is adversarial.learning_rate"
    if field == "lr_scale" and below and below[0] not in stage.train:
        return f"the stage does not train {below[0]}"
    if field in ("losses", "layer_weights") and below and value:
        trained = stage.decoded_layers(config.model)
        if below[0] in config.model.layers and below[0] not in trained:
            return f"only losses and layer_weights of {', '.join(trained)} count in this stage"
    return ""


def _check_names(config: Config) -> None:
    if any(part in ("", ".", "..") or "\0" in part for part in config.name.split("/")):
        raise HscError(f"config: name: must be the name of a folder in `runs` (not {config.name!r})")
    if not config.run:
        raise HscError("config: run: is empty; name the stages to train, such as run: [basic, middle, enhanced, joint]")
    for place, name in enumerate(config.run):
        if name not in config.stages:
            raise HscError(f"config: run: {unknown('stage', name, list(config.stages))}")
        if name in config.run[:place]:
            raise HscError(f"config: run: names stage {name!r} twice")
        if not _FOLDER_NAME.fullmatch(name):
            raise HscError(f"config: stages: {name!r} cannot be a folder name; use letters, digits, '-', '_' and '.'")


def check_model(model: ModelConfig) -> None:
    """Raise HscError for the first invalid combination in the networks' configuration."""
    generator = model.generator
    rows = sum(layer.rows for layer in model.layers.values())
    if rows != generator.num_rows:
        what = f"a {generator.resolutions[-1]}² {generator.architecture}"
        raise HscError(f"config: model.layers: their rows add up to {rows}, but {what} has {generator.num_rows}")
    if len(model.encoder.channels) != len(generator.resolutions):
        raise HscError(
            f"config: model.encoder.channels: {len(model.encoder.channels)} widths, "
            f"but the generator has {len(generator.resolutions)} resolutions, from 4² to full size"
        )
    if model.entropy.width % model.entropy.heads:
        raise HscError(
            f"config: model.entropy.heads: {model.entropy.heads} does not divide width {model.entropy.width}"
        )
    if sorted(model.lambdas, reverse=True) != list(model.lambdas):
        raise HscError("config: model.lambdas: must fall, so that quality 0 has the fewest bytes")
    if generator.architecture == "mobilestylegan":
        _check_mobile_stylegan(model)
    elif generator.full:
        raise HscError("config: model.generator.full: only a mobilestylegan has two sizes; leave it out")
    sides = [0, *(side for side in generator.resolutions if SMALLEST_LINEAR_PATH <= side <= LARGEST_LINEAR_PATH)]
    if model.linear_path not in sides:
        raise HscError(
            f"config: model.linear_path: must be one of {', '.join(map(str, sides))} (not {model.linear_path})"
        )
    if model.linear_path and generator.architecture != "mobilestylegan":
        raise HscError("config: model.linear_path: needs generator.architecture: mobilestylegan; or leave it 0")
    if model.blocks:
        _check_blocks(model)


def _check_blocks(model: ModelConfig) -> None:
    if not 0 < model.linear_path < model.generator.resolutions[-1]:
        raise HscError("config: model.blocks: needs a model.linear_path smaller than the images; or leave it 0")
    if model.blocks > (most := 3 * (2 * model.linear_path // BLOCK_GRID) ** 2):
        raise HscError(f"config: model.blocks: must be at most {most}, the numbers of a block (not {model.blocks})")
    last, of_blocks = list(model.layers.values())[-1], BLOCK_GRID**2 * model.blocks
    if last.rows * last.dim <= of_blocks:
        raise HscError(
            f"config: model.blocks: {model.blocks} components of each block are {of_blocks} latents, but the last "
            f"layer has {last.rows * last.dim}; raise its dim"
        )


def _check_mobile_stylegan(model: ModelConfig) -> None:
    channels = model.generator.channels
    if len(channels) > MOBILE_STYLEGAN_ROWS // 2:
        raise HscError(f"config: model.generator.channels: a mobilestylegan has at most {MOBILE_STYLEGAN_ROWS // 2}")
    if any(width % 4 for width in channels[:-1]):
        raise HscError("config: model.generator.channels: of a mobilestylegan all but the last are multiples of 4")
    full, shared = model.generator.full, channels[: len(channels) - MOBILE_STYLEGAN_OWN_LAYERS]
    if full and not (len(channels) < len(full) <= MOBILE_STYLEGAN_ROWS // 2 and full[: len(shared)] == shared):
        raise HscError(
            f"config: model.generator.full: has more widths than channels, at most {MOBILE_STYLEGAN_ROWS // 2}, and "
            f"begins with {shared}"
        )
    if model.generator.input != "const":
        raise HscError("config: model.generator.input: a mobilestylegan's 4×4 input is 'const'")


def _check_stage(name: str, stage: StageConfig, config: Config) -> None:
    def refuse(key: str, why: str) -> None:
        raise HscError(f"config: {_where(config, name, key)}: {why}")

    if not stage.train:
        refuse("train", "is empty; a stage must train at least one part")
    if set(stage.train) == {"discriminator"}:
        refuse("train", "contains only the discriminator; add a part that generates images")
    for part in stage.train:
        if part not in TRAINABLE[stage.module]:
            refuse("train", f"a {stage.module!r} stage has no part {part!r}")
    if stage.module != "codec" and config.model.linear_path:
        refuse("module", "only codec stages have a linear path; leave model.linear_path 0")
    names = list(config.model.layers)
    if stage.layers != names[: len(stage.layers)]:
        refuse("layers", f"{stage.layers} is not a prefix of the model's layers {names}")
    for key in ("losses", "layer_weights"):
        for layer in getattr(stage, key):
            if layer not in names:
                refuse(key, f"{layer!r} is none of {', '.join(names)}")
    _check_tasks(stage, config.model, refuse)
    for unused, why in _without_gradient(stage):
        if unused in stage.train:
            refuse("train", f"{unused} would not learn: {why}")
    if "details" in stage.train and not config.model.blocks:
        refuse("train", "the model has no blocks whose details could be trained; set model.blocks")
    if (stage.decode_with == "full" or "full" in stage.train) and not config.model.generator.full:
        refuse("decode_with", "the generator has no full size; set model.generator.full")
    if stage.init_full is not None and not config.model.generator.full:
        refuse("init_full", "the generator has no full size; set model.generator.full")
    if stage.decode_with == "linear" and not config.model.linear_path:
        refuse("decode_with", "the model has no linear path; set model.linear_path")
    if stage.module == "image_head" and config.model.generator.architecture != "mobilestylegan":
        refuse("module", "only a mobilestylegan has image heads; set model.generator.architecture")
    if stage.needs_styles and stage.data.flips:
        refuse("data.flips", "a mirrored face does not match its W+; set it to false")
    if stage.batch_size % (config.devices * stage.accumulate):
        times = f" × accumulate={stage.accumulate}" if stage.accumulate > 1 else ""
        refuse("batch_size", f"{stage.batch_size} is not a multiple of devices={config.devices}{times}")
    if stage.quantises and stage.prefixes == "sample" and stage.batch_size < _num_compared(stage, config.model):
        refuse("batch_size", "has fewer images than layers with losses; raise it, or decode all with prefixes: all")
    if stage.is_adversarial:
        blocks = len(config.model.generator.resolutions) - 1
        size = config.model.generator.resolutions[-1]
        if stage.adversarial.discriminator == "projected" and size < SMALLEST_PROJECTED:
            refuse("adversarial.discriminator", f"projected needs images of {SMALLEST_PROJECTED}² or more, not {size}²")
        if stage.adversarial.freeze_blocks > blocks:
            refuse("adversarial.freeze_blocks", f"the discriminator has {blocks} blocks; freeze 0 to {blocks}")
        if stage.compile and stage.module == "prior" and stage.adversarial.path_weight:
            refuse(
                "compile", "path lengths need second derivatives, which compiled networks lack; set one of them to 0"
            )


def _num_compared(stage: StageConfig, model: ModelConfig) -> int:
    """The number of prefixes of which each step decodes at least one image."""
    of_layers = stage.tasks(model)
    return len(of_layers) if stage.styles else sum(bool(tasks) for tasks in of_layers.values())


def _without_gradient(stage: StageConfig) -> Iterator[tuple[str, str]]:
    """The parts of a codec that a stage does not use, and why."""
    if stage.module != "codec":
        return
    if stage.quantise == "none":
        yield from ((part, "without quantisation nothing is coded") for part in ("gain", "entropy"))
    if stage.decode_with == "linear":
        yield from ((part, "images are those of the linear path (decode_with)") for part in ("details", "generator"))
    if stage.decode_with != "full":
        yield "full", "images of the full size are not decoded; set decode_with: full"


def _check_tasks(stage: StageConfig, model: ModelConfig, refuse: Callable[[str, str], None]) -> None:
    """Reject stages without an objective."""
    of_layers = stage.tasks(model)
    tasks = any(of_layers.values()) or (stage.module == "codec" and bool(stage.styles and of_layers))
    if stage.quantises:
        if not tasks and set(stage.train) - {"entropy", "gain"}:
            refuse("losses", "no layer has a task; give weights such as losses: {basic: {l2: 1}}")
        return
    if stage.layers not in ([], list(model.layers)):
        refuse("layers", "a stage without quantisation trains all layers; leave it out")
    if not tasks and stage.module != "prior":
        last = list(model.layers)[-1]
        refuse("losses", f"a stage without quantisation needs a task of its last layer {last!r}")


def _where(config: Config, name: str, key: str) -> str:
    """The key's path as it was written: under `defaults` if the stage inherits it from there."""
    stages = (config.stages[name], config.defaults, StageConfig())
    own, inherited, plain = (reduce(getattr, key.split("."), stage) for stage in stages)
    return f"defaults.{key}" if own == inherited != plain else f"stages.{name}.{key}"


def _leaves(tree: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _at(tree: Any, path: Sequence[str]) -> Any:
    """The value at a path; None if there is none."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
