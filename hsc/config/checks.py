"""Combinations that cannot work, refused by the key's full path before anything is computed."""

from collections.abc import Iterable, Sequence

from hsc.config.schema import (
    ARCHITECTURES,
    MOBILE_STYLEGAN_ROWS,
    MODULES,
    PARTS,
    PRECISIONS,
    QUANTISERS,
    AdversarialConfig,
    Config,
    ModelConfig,
    StageConfig,
)
from hsc.config.tasks import task_names, tasks_of
from hsc.errors import HscError

FEWEST_FACES = 500  # for distances of distributions
TRAINABLE = {
    "prior": {"encoder", "heads", "generator", "mapping", "discriminator"},
    "codec": {"encoder", "gain", "entropy", "heads", "generator"},
}


def check(config: Config) -> None:
    """Raise HscError for the first thing that cannot work."""
    if not config.run:
        raise HscError(
            "config: run: lists no stage; name the stages to train, such as run: [basic, middle, enhanced, joint]"
        )
    for name in config.run:
        _one_of(f"run names stage {name!r}", name, config.stages)
    check_model(config.model)
    for name in config.run:
        _check_stage(f"stages.{name}", config.stages[name], config)
    _one_of("logging.wandb", config.logging.wandb, ("auto", "online", "offline", "disabled"))
    _check_judges(config)


def check_model(model: ModelConfig) -> None:
    """Raise HscError for the first thing about the networks that cannot work."""
    generator = model.generator
    _one_of("model.generator.architecture", generator.architecture, ARCHITECTURES)
    if len(generator.channels) < 2:
        raise HscError(
            "config: model.generator.channels: needs a width for 4² and one for each doubling up to full size"
        )
    rows = sum(layer.rows for layer in model.layers.values())
    if rows != generator.num_rows:
        what = f"a {generator.resolutions[-1]}² {generator.architecture}"
        raise HscError(f"config: model.layers: their rows add up to {rows}, but {what} has {generator.num_rows}")
    if len(model.encoder.channels) != len(generator.resolutions):
        raise HscError(
            f"config: model.encoder.channels: {len(model.encoder.channels)} widths, "
            f"but the generator has {len(generator.resolutions)} resolutions, from 4² to full size"
        )
    if any(width % 8 for width in model.encoder.channels):
        raise HscError("config: model.encoder.channels: widths must be multiples of 8 (normalisation groups)")
    if model.entropy.width % model.entropy.heads:
        raise HscError(
            f"config: model.entropy.heads: {model.entropy.heads} does not divide width {model.entropy.width}"
        )
    if not 1 <= len(model.lambdas) <= 256 or any(weight <= 0 for weight in model.lambdas):
        raise HscError("config: model.lambdas: give 1 to 256 positive weights")
    if sorted(model.lambdas, reverse=True) != list(model.lambdas):
        raise HscError("config: model.lambdas: must fall, so that quality 0 has the fewest bytes")
    if generator.architecture == "mobilestylegan":
        _check_mobile_stylegan(model)
    sizes = generator.resolutions
    if model.picture and model.picture not in sizes:
        raise HscError(f"config: model.picture: {model.picture} is none of 0 and the generator's resolutions {sizes}")
    _check_grids(model)
    _one_of("model.generator.input", model.generator.input, ("const", "style"))
    _one_of("model.entropy.context", model.entropy.context, ("layer", "row"))


def _check_mobile_stylegan(model: ModelConfig) -> None:
    channels = model.generator.channels
    if len(channels) > MOBILE_STYLEGAN_ROWS // 2:
        raise HscError(f"config: model.generator.channels: a mobilestylegan has at most {MOBILE_STYLEGAN_ROWS // 2}")
    if any(width % 4 for width in channels[:-1]):
        raise HscError("config: model.generator.channels: of a mobilestylegan all but the last are multiples of 4")
    if model.generator.input != "const":
        raise HscError("config: model.generator.input: a mobilestylegan's 4×4 input is 'const'")
    if model.picture:
        raise HscError("config: model.picture: a mobilestylegan draws on no picture; leave it 0")


def _check_grids(model: ModelConfig) -> None:
    *others, (last, layer) = model.layers.items()
    for name, other in others:
        if other.grid:
            raise HscError(f"config: model.layers.{name}.grid: only the last layer, {last}, can have a grid")
    if not layer.grid:
        return
    *sides, size = model.generator.resolutions
    if layer.grid not in sides:
        raise HscError(f"config: model.layers.{last}.grid: {layer.grid} is none of 0 and {sides}")
    if not model.picture or model.picture == size:
        raise HscError(f"config: model.layers.{last}.grid: it refines a picture smaller than {size}: set model.picture")


def _check_stage(path: str, stage: StageConfig, config: Config) -> None:
    _one_of(f"{path}.module", stage.module, MODULES)
    _one_of(f"{path}.quantise", stage.quantise, QUANTISERS)
    _one_of(f"{path}.precision", stage.precision, PRECISIONS)
    _one_of(f"{path}.prefixes", stage.prefixes, ("sample", "all"))
    for part in [*stage.train, *stage.rates]:
        _one_of(f"{path}.train", part, PARTS)
        if part not in TRAINABLE[stage.module]:
            raise HscError(f"config: {path}.train: a {stage.module!r} stage has no part {part!r}")
    if not stage.train:
        raise HscError(f"config: {path}.train: names no part; a stage must train something")
    names = list(config.model.layers)
    if stage.layers != names[: len(stage.layers)]:
        raise HscError(f"config: {path}.layers: {stage.layers} is no prefix of the model's layers {names}")
    for layer in [*stage.losses, *stage.weights]:
        _one_of(f"{path}.losses", layer, names)
    tasks = any(tasks_of(stage, config.model).values())
    adversarial = stage.module == "prior" and stage.adversarial.weight > 0
    if stage.module == "prior" or stage.quantise == "none":
        # Nothing is sent, so there are no prefixes: every layer is decoded, under the last one's losses.
        if stage.layers not in ([], names):
            raise HscError(f"config: {path}.layers: a stage without quantisation trains all layers; leave it out")
        if not adversarial and not tasks:
            raise HscError(
                f"config: {path}.losses: a stage without quantisation needs a task of its last layer {names[-1]!r}"
            )
    elif not tasks and set(stage.train) - {"entropy", "gain"}:
        raise HscError(f"config: {path}.losses: no layer has a task; give weights such as losses: {{basic: {{l2: 1}}}}")
    if stage.distillation < 0 or (stage.distillation and (stage.module == "prior" or stage.quantise == "none")):
        raise HscError(f"config: {path}.distillation: 0 or more, and only of codec stages that quantise")
    for key in ("steps", "batch_size", "accumulate", "validate_every", "save_every", "log_every"):
        if getattr(stage, key) < 1:
            raise HscError(f"config: {path}.{key}: must be at least 1")
    if stage.batch_size % (config.devices * stage.accumulate):
        times = f" × accumulate={stage.accumulate}" if stage.accumulate > 1 else ""
        raise HscError(
            f"config: {path}.batch_size: {stage.batch_size} is no multiple of devices={config.devices}{times}"
        )
    if adversarial:
        _check_adversarial(f"{path}.adversarial", stage.adversarial, config.model)
    if stage.patience < 0:
        raise HscError(f"config: {path}.patience: must be 0 (never stop early) or more")
    _check_betas(f"{path}.betas", stage.betas)
    if not 0 <= stage.round_after <= 1:
        raise HscError(f"config: {path}.round_after: a fraction between 0 and 1")


def _check_adversarial(path: str, adversarial: AdversarialConfig, model: ModelConfig) -> None:
    for key in ("r1_every", "path_every"):
        if getattr(adversarial, key) < 1:
            raise HscError(f"config: {path}.{key}: must be at least 1")
    _check_betas(f"{path}.betas", adversarial.betas)
    blocks = len(model.generator.resolutions) - 1
    if not 0 <= adversarial.freeze_blocks <= blocks:
        raise HscError(f"config: {path}.freeze_blocks: the discriminator has {blocks} blocks; freeze 0 to {blocks}")


def _check_betas(path: str, betas: Sequence[float]) -> None:
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise HscError(f"config: {path}: must be two numbers from 0 to below 1, such as [0.9, 0.99]")


def _check_judges(config: Config) -> None:
    """A reported identity or landmark judge must not have trained the model, nor taught a judge that did."""
    trained_on = task_names(config, config.run)
    for key, judge in (("identity", config.judges.identity), ("landmarks", config.judges.landmarks)):
        if judge in trained_on:
            raise HscError(f"config: judges.{key}: {judge!r} trains the model (losses), so it cannot also report on it")
    if config.judges.distribution != "none" and config.judges.distribution_faces < FEWEST_FACES:
        raise HscError(f"config: judges.distribution_faces: fewer than {FEWEST_FACES} faces say nothing")


def _one_of(path: str, value: str, allowed: Iterable[str]) -> None:
    allowed = list(allowed)
    if value not in allowed:
        raise HscError(f"config: {path}: {value!r} is none of {', '.join(allowed)}")
