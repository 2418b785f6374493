"""Every field of an experiment's YAML, with its type, default and a short description.

`stages:` is a mapping of named stages that each inherit from `defaults:`; `run:` lists the order in which they are
trained. The range of a number is part of its type; constraints between fields are in `checks`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from omegaconf import MISSING
from pydantic import BeforeValidator, ConfigDict, Field

from hsc.config.ranges import Range, shown

Part = Literal[
    "encoder", "gain", "entropy", "heads", "details", "generator", "image_head", "full", "mapping", "discriminator"
]
Decoder = Literal["generator", "linear", "full"]

Count = Annotated[int, Range(1, 10**9)]
Width = Annotated[int, Range(1, 4096)]
Weight = Annotated[float, Range(0, 10**6)]
Rate = Annotated[float, Range(0, 1, above=True)]
Share = Annotated[float, Range(0, 1)]
Beta = Annotated[float, Range(0, 1, below=True)]


def _texts(what: str) -> BeforeValidator:
    """Validate a text or a list of texts."""

    def check(value: Any) -> Any:
        parts = value if isinstance(value, list) else [value]
        if not parts or not all(isinstance(part, str) and part for part in parts):
            raise ValueError(f"must be {what}, or a list of these; numbers in quotes (not {shown(value)})")
        return value

    return BeforeValidator(check)


Split = Annotated[Any, _texts("a range of names, a glob, a file of names, a percentage")]
"""A split of `hsc.data.splits`, or a list of them."""

Sets = Annotated[Any, _texts("a folder, a zip")]
"""A path of `hsc.data.sets`, or a list of them."""


MOBILE_STYLEGAN_ROWS = 16
BLOCK_GRID = 8  # blocks of the linear path in a row and in a column
# The last layers before a smaller size's image head, trained with it; earlier layers are shared by all sizes.
MOBILE_STYLEGAN_OWN_LAYERS = 2
LARGEST_LINEAR_PATH = 128  # pixels on a side: components of larger faces take gigabytes and are no better


class Section:
    """A mapping of the YAML file."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


@dataclass
class GeneratorConfig(Section):
    """The generative prior."""

    architecture: Literal["stylegan2", "mobilestylegan"] = "stylegan2"
    """"stylegan2", or "mobilestylegan": StyleGAN2 distilled to depthwise-separable convolutions."""
    channels: Annotated[list[Width], Field(min_length=2, max_length=10)] = field(
        default_factory=lambda: [192, 192, 128, 64, 32]
    )
    """Widths from 4² to full size (stylegan2; 5: 64², 6: 128²) or to half of it (mobilestylegan; 5: 128², 8: 1024²)."""
    z_dim: Width = 128
    """Dimensions of the Gaussian input of the mapping network."""
    w_dim: Width = 128
    """Dimensions of one row of W+."""
    mapping_layers: Annotated[int, Range(0, 64)] = 4
    """Depth of the mapping network; 0: none, as in a codec, which synthesises from W+."""
    input: Literal["const", "style"] = "style"
    """stylegan2's 4×4 input: "const" (imported checkpoints) or "style" (const + an affine map of W+'s first row)."""
    full: list[Width] = field(default_factory=list)
    """mobilestylegan: widths of a second, larger size synthesised from the same W+ (8 of them: 1024²); all but the last
    two of `channels` are shared. Empty: none."""

    @property
    def resolutions(self) -> list[int]:
        """Sides from 4 up to full size."""
        return [4 * 2**i for i in range(len(self.channels) + (self.architecture == "mobilestylegan"))]

    @property
    def num_rows(self) -> int:
        """Rows of W+; a mobilestylegan has those of 1024² at every size, so that a W+ gives one face at all sizes."""
        return MOBILE_STYLEGAN_ROWS if self.architecture == "mobilestylegan" else 2 * len(self.channels)


@dataclass
class EncoderConfig(Section):
    """The pyramid encoder."""

    channels: list[Annotated[int, Range(8, 4096, multiple_of=8)]] = field(
        default_factory=lambda: [24, 48, 64, 128, 160]
    )
    """Widths from full size down to 4²: as many entries as the generator's."""
    pyramid_channels: Annotated[int, Range(16, 4096, multiple_of=16)] = 128
    """Width of the top-down pathway."""


@dataclass
class EntropyConfig(Section):
    """The layer-wise scalable entropy transformer."""

    width: Width = 96
    """Width of a token."""
    depth: Annotated[int, Range(1, 64)] = 3
    """Number of blocks."""
    heads: Annotated[int, Range(1, 256)] = 4
    """Attention heads; divides `width`."""


@dataclass
class LayerConfig(Section):
    """One layer of the file."""

    rows: Annotated[int, Range(1, 20)]
    """Rows of the layer: of W+, or of latents with a linear path."""
    dim: Width = 48
    """Latents per row."""


@dataclass
class ModelConfig(Section):
    """The networks of the codec."""

    layers: dict[str, LayerConfig] = field(
        default_factory=lambda: {"basic": LayerConfig(3), "middle": LayerConfig(4), "enhanced": LayerConfig(3)}
    )
    """The layers in coding order; their rows add up to the generator's: 2·log2(size) − 2, or 16 of a mobilestylegan."""
    lambdas: Annotated[list[Annotated[float, Range(0, 10**6, above=True)]], Field(min_length=1, max_length=256)] = (
        field(default_factory=lambda: [1.2, 0.6, 0.3, 0.15])
    )
    """Weight of a bit per pixel for each quality, from the fewest bytes (quality 0) to the most."""
    heads_hidden: Width = 256
    """Hidden width of the decoder heads."""
    linear_path: Annotated[int, Range(0, LARGEST_LINEAR_PATH)] = 0
    """Side of the linear path's picture: latents are initialised as principal components of faces of this size, and the
    decoded picture conditions a mobilestylegan; 0: no linear path."""
    blocks: Annotated[int, Range(0, 1024)] = 0
    """Components of each of 8×8 blocks of what the linear path's picture leaves out at twice its side, for high rates;
    their latents, 64 times as many, are the last ones of the last layer; 0: none."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    entropy: EntropyConfig = field(default_factory=EntropyConfig)


@dataclass
class DataConfig(Section):
    """Aligned faces. Of several sets the first is split; the others are used whole, for training only."""

    path: Sets = MISSING
    """Folder or zip, relative to the working folder or HSC_DATA (default ../shared/data); or generated:N; or a list."""
    train: Split = "00000-03999"
    """Training images of the first set: a range of names, a glob, a file of names, a percentage, or a list of these."""
    validation: Split = "04000-04499"
    """Validation images of the first set, in the same format; must not overlap the training images."""
    validation_limit: Count = 200
    """Maximum number of validation images decoded and measured at each validation."""
    flips: bool = True
    """Mirror half of the training images."""
    workers: Annotated[int, Range(0, 256)] = 0
    """Loader processes; 0 is fastest for sets that fit in memory, which are decoded and resized once."""
    skip_broken: bool = False
    """Leave out broken images and unreadable files instead of stopping."""


@dataclass
class AdversarialConfig(Section):
    """The discriminator of a `prior` stage (generated against training faces), and of a `codec` stage that trains
    `discriminator` (decoded images against originals). r1, freeze and ada fields are for the StyleGAN2 discriminator,
    path fields and style_mixing for priors."""

    weight: Annotated[float, Range(0, 10**6, above=True)] = 1.0
    """Weight of the generator's adversarial loss."""
    discriminator: Literal["stylegan2", "projected"] = "stylegan2"
    """"stylegan2" (learns from pixels; R1, adaptive augmentation) or "projected" (small heads on frozen features of
    images of 64² or more; hinge loss, DiffAugment), which needs fewer images to converge."""
    learning_rate: Rate = 0.002
    """Adam's rate for the discriminator."""
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = field(default_factory=lambda: [0.0, 0.99])
    """Adam's β₁ and β₂ for the discriminator; without momentum, since its target moves with each step."""
    r1_gamma: Weight = 0.05
    """Weight of the R1 gradient penalty (0.0002 · size² ÷ batch is a good start)."""
    r1_every: Count = 16
    """Steps between two R1 penalties."""
    path_weight: Weight = 0.0
    """Weight of path-length regularisation (StyleGAN2: 2); useful from about a million images on; 0: off."""
    path_every: Count = 4
    """Steps between two path-length penalties."""
    freeze_blocks: Annotated[int, Range(0, 9)] = 0
    """Frozen blocks of the discriminator, from full size down (freeze-D, for few faces)."""
    style_mixing: Share = 0.5
    """Probability of mixing two styles in a generated image."""
    ada_target: Share = 0.6
    """Target of adaptive augmentation for the mean sign of the discriminator's output on real images; 0: off."""
    ada_kimg: Annotated[float, Range(0, 10**6, above=True)] = 100.0
    """Thousands of images over which the augmentation probability can rise from 0 to 1."""


@dataclass
class StageConfig(Section):
    """One training phase."""

    module: Literal["prior", "image_head", "codec"] = "codec"
    """Stage type: "prior" (the generator, against a discriminator), "image_head" (a smaller size of a generator, from
    its samples) or "codec" (rate–distortion)."""
    train: list[Part] = field(default_factory=lambda: ["encoder", "gain", "entropy", "heads"])
    """Parts to train; the others are frozen. Any of encoder, gain, entropy, heads, details (the head that uses
    model.blocks, alone), generator, full (the layers of the generator's full size), image_head, mapping, discriminator.
    A codec stage is adversarial only if it lists the discriminator here."""
    layers: list[str] = field(default_factory=list)
    """Prefix of the layers to train; empty: all."""
    layer_weights: dict[str, Weight] = field(default_factory=dict)
    """Weight of each layer's term in the objective; default 1."""
    losses: dict[str, dict[str, Weight]] = field(default_factory=dict)
    """For each layer the weight of each task, such as {basic: {landmarks: 1, lpips: 1}}."""
    styles: Weight = 0.0
    """Weight of the squared distance per row between the decoded W+ and the known W+ of a generated face (from
    `hsc data sample`). Without other tasks no image is decoded, which is fast."""
    quantise: Literal["none", "noise", "round"] = "noise"
    """Quantisation: "none" (latents pass unchanged), "noise" (rate with noise, reconstruction with rounding) or "round"
    (both)."""
    round_after: Share = 1.0
    """Fraction of the steps after which "noise" switches to "round"."""
    prefixes: Literal["sample", "all"] = "sample"
    """"sample": each image of a batch is decoded from one prefix drawn at random (cheap); "all": from every prefix. A
    prefix counts if its last layer has losses."""
    decode_with: Decoder = "generator"
    """Decoder used in training: the "generator"; "linear", the linear path alone with its picture enlarged, to train a
    code quickly before its decoder; or the generator's "full" size, whose images are compared at that size with faces
    of at least as many pixels, and after averaging with smaller ones."""
    steps: Count = 1000
    """Optimisation steps."""
    batch_size: Annotated[int, Range(1, 65536)] = 32
    """Images in a step, over all processes."""
    accumulate: Annotated[int, Range(1, 65536)] = 1
    """Gradient accumulation: number of parts in which a process computes its images of a step, to save memory."""
    learning_rate: Rate = 1e-3
    """Adam's peak rate; multiplied by `lr_scale` for single parts."""
    lr_scale: dict[Part, Annotated[float, Range(0, 1000)]] = field(default_factory=dict)
    """Factor on the learning rate of a part, such as {generator: 0.1}."""
    warmup: Annotated[int, Range(0, 10**9)] = 100
    """Steps of linear warm-up."""
    final_rate: Share = 0.05
    """Fraction of the peak to which the learning rate decays along a cosine."""
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = field(default_factory=lambda: [0.9, 0.99])
    """Adam's β₁ and β₂."""
    grad_clip: Weight = 1.0
    """Maximum norm of the gradients; 0: no clipping."""
    ema_kimg: Weight = 10.0
    """Half-life of the weights' moving average (EMA), in thousands of images; it is validated and released."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Lightning's 32-true or bf16-mixed; "auto": bf16-mixed if the device supports it, else 32-true."""
    compile: bool = False
    """Use torch.compile: faster after some minutes of compilation; needs a compiler."""
    validate_every: Count = 500
    """Steps between validations; the last step is always validated, unless the stage has stopped early."""
    save_every: Count = 250
    """Steps between checkpoints."""
    log_every: Count = 25
    """Steps between logged training values."""
    patience: Annotated[int, Range(0, 10**9)] = 0
    """Early stopping: validations without a better `monitor` before the stage ends with its best weights; 0: off."""
    monitor: str = "val/enhanced/lpips_vgg"
    """Any value logged by validation, which selects the best one for early stopping and W&B's summary."""
    init: str | None = None
    """Initial weights: a file, released name, run folder, stage:NAME or "fresh"; default: previous stage of `run`."""
    init_full: str | None = None
    """Initial weights of the generator's full size: a generator of that size, such as ffhq1024."""
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    data: DataConfig = field(default_factory=DataConfig)

    @property
    def quantises(self) -> bool:
        """Whether the stage trains a code and decodes every prefix of it; other stages decode all layers at once."""
        return self.module == "codec" and self.quantise != "none"

    def decoded_layers(self, model: ModelConfig) -> list[str]:
        """The layers up to which faces are decoded: without quantisation only the last; for a prior none."""
        if self.module == "prior":
            return []
        names = list(model.layers)
        return (self.layers or names) if self.quantises else names[-1:]

    def tasks(self, model: ModelConfig) -> dict[str, dict[str, float]]:
        """The weight of each task by layer, without layers that are not trained and tasks and layers of zero weight."""
        weighing = (name for name in self.decoded_layers(model) if self.layer_weights.get(name, 1.0))
        return {
            name: {task: weight for task, weight in self.losses.get(name, {}).items() if weight} for name in weighing
        }

    @property
    def needs_styles(self) -> bool:
        """Whether its faces must come with their W+."""
        return self.module == "image_head" or (self.module == "codec" and self.styles > 0)

    @property
    def is_adversarial(self) -> bool:
        """Whether the stage is adversarial: a prior always, a codec if it trains a discriminator."""
        return self.module == "prior" or "discriminator" in self.train


@dataclass
class JudgesConfig(Section):
    """Frozen networks used as metrics in validation. They must not be used as losses."""

    identity: str = "dlib"
    """Recogniser for identity accuracy and identity distance; "none": not reported."""
    landmarks: str = "dlib68"
    """Landmarker for the landmark error; "none": not reported."""
    perceptual: list[str] = field(default_factory=lambda: ["lpips.alex", "lpips.vgg", "psnr"])
    """Perceptual distances and pixel metrics."""
    distribution: str = "none"
    """Feature network for Fréchet distance and KID, such as vgg16 (needs 500 images); "none": not reported."""
    distribution_faces: Annotated[int, Range(500, 10**6)] = 2000
    """Faces sampled from a prior at each validation and compared with as many training faces."""


def _by_name(value: Any) -> Any:
    return {"class_path": value} if isinstance(value, str) else value


@dataclass
class CallbackConfig(Section):
    """A Lightning callback for every stage; a class path alone means no arguments."""

    class_path: str
    """package.module.Class, or package.module:Class."""
    init_args: dict[str, Any] = field(default_factory=dict)
    """Keyword arguments."""


LoggerName = Literal["csv", "wandb", "tensorboard", "mlflow"]


@dataclass
class LoggingConfig(Section):
    """Loggers."""

    loggers: list[LoggerName] = field(default_factory=lambda: ["csv", "wandb"])
    """Any of csv, wandb, tensorboard and mlflow; the last two need hsc's extras. The CSV file is always written."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """W&B mode: "auto" (online when logged in, else offline), "online", "offline" or "disabled"."""
    project: str = "hsc"
    """W&B project."""
    group: str | None = None
    """W&B group."""
    tags: list[str] = field(default_factory=list)
    """W&B tags."""


@dataclass
class Config(Section):
    """An experiment."""

    name: str = MISSING
    """Name of the run; its folder is `runs`/`name`."""
    runs: str = "runs"
    """Folder of the run folders."""
    seed: Annotated[int, Range(0, 2**32 - 1)] = 0
    """Seed of all randomness."""
    device: Literal["auto", "cpu", "gpu", "cuda", "mps"] = "auto"
    """Lightning's accelerator: auto, cpu, gpu, cuda or mps."""
    devices: Annotated[int, Range(1, 4096)] = 1
    """Number of processes (DDP if more than one)."""
    title: str = ""
    """One-line title for plots and reports."""
    allow_missing_losses: bool = False
    """Train without losses whose judges are missing, instead of stopping; the resulting weights differ."""
    model_of: str | None = None
    """Take `model` from these weights: a released name, a run folder or a file. For fine-tuning."""
    model: ModelConfig = field(default_factory=ModelConfig)
    judges: JudgesConfig = field(default_factory=JudgesConfig)
    logging: LoggingConfig = field(default_factory=LoggingConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    """Flags of Lightning's Trainer, such as {fast_dev_run: true} or {profiler: simple}, for every stage."""
    callbacks: list[Annotated[CallbackConfig, BeforeValidator(_by_name)]] = field(default_factory=list)
    """Additional Lightning callbacks for every stage, such as my_callbacks.Printer (with its folder on PYTHONPATH)."""
    defaults: StageConfig = field(default_factory=StageConfig)
    """Fields inherited by every stage."""
    stages: dict[str, StageConfig] = field(default_factory=dict)
    """The stages by name."""
    run: list[str] = field(default_factory=list)
    """Names of the stages to train, in order."""

    def task_names(self, stages: Iterable[str]) -> set[str]:
        """Names of all tasks that these stages are trained on."""
        return {task for name in stages for tasks in self.stages[name].tasks(self.model).values() for task in tasks}


RETIRED: dict[Any, dict[str, str | None]] = {
    EntropyConfig: {"context": None},
    LayerConfig: {"grid": None},
    ModelConfig: {"picture": "linear_path", "mirrored": None},
    StageConfig: {
        "rates": "lr_scale",
        "weights": "layer_weights",
        "watch": "monitor",
        "average_kimg": "ema_kimg",
        "clip": "grad_clip",
        "distillation": None,
    },
    Decoder: {"picture": "linear"},
}
"""Former names of a section's keys, or of a choice's values, with their current names, or None if removed. They are an
error in an experiment; weights files and checkpoints that have them can still be read."""
