"""YAML and key=value words become one checked config, or a one-line error that names the key."""

import json
import textwrap
from pathlib import Path

import pytest
import yaml

from hsc import config
from hsc.errors import HscError

EXPERIMENT = {
    "name": "test",
    "defaults": {"data": {"path": "faces.zip"}, "learning_rate": 0.002, "losses": {"basic": {"l2": 1}}},
    "stages": {"first": {"steps": 3}, "second": {"learning_rate": 0.1, "data": {"train": "00-10"}}},
    "run": ["first", "second"],
}


def test_stages_inherit_defaults_and_override_them(experiment: Path) -> None:
    loaded = config.load([experiment], ["defaults.batch_size=8"])
    first, second = loaded.stages["first"], loaded.stages["second"]
    assert (first.steps, first.learning_rate, first.batch_size) == (3, 0.002, 8)
    assert (second.learning_rate, second.data.train, second.data.path) == (0.1, "00-10", "faces.zip")


def test_later_files_and_words_win(experiment: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("seed: 5\nstages: {first: {steps: 7}}\n")
    loaded = config.load([experiment, more], ["seed=6", "--stages.second.init=None"])
    assert (loaded.seed, loaded.stages["first"].steps, loaded.stages["second"].init) == (6, 7, None)


def test_a_file_that_names_layers_names_all_of_them(experiment: Path, tmp_path: Path) -> None:
    more = tmp_path / "one-layer.yaml"
    more.write_text("model: {layers: {all: {rows: 10}}}\ndefaults: {losses: {all: {l2: 1}}}\n")
    with pytest.raises(HscError, match=r"defaults\.losses: 'basic' is none of all"):
        config.load([experiment, more])
    assert list(config.load([experiment], ["model.layers.basic.dim=8"]).model.layers) == ["basic", "middle", "enhanced"]


def test_the_resolved_config_loads_to_itself(experiment: Path, tmp_path: Path) -> None:
    loaded = config.load([experiment], ["stages.first.betas=[0.5,0.9]"])
    again = tmp_path / "again.yaml"
    again.write_text(config.to_yaml(loaded))
    assert config.load([again]) == loaded


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("defaults.data.pth=x", "unknown key 'defaults.data.pth', did you mean 'defaults.data.path'?"),
        ("model.layers.basic.dimm=4", "unknown key 'model.layers.basic.dimm', did you mean 'model.layers.basic.dim'?"),
        ("zzz=1", "unknown key 'zzz' (known: name, runs"),
        ("stages.first.steps=many", "stages.first.steps: must be a whole number from 1 to 1000000000 (not many)"),
        ("seed=1.5", "seed: must be a whole number from 0 to 4294967295 (not 1.5)"),
        ("run=[thirst]", "run: unknown stage 'thirst', did you mean 'first'?"),
        ("run=[first,first]", "run: names stage 'first' twice"),
        ("stages.frist.steps=4000", "unknown stage 'frist', did you mean 'first'?"),
        ("run=[]", "run: is empty"),
        ("model.layers.basic.rows=4", "model.layers: their rows add up to 11, but a 64² stylegan2 has 10"),
        ("model.linear_path=48", "model.linear_path: must be one of 0, 8, 16, 32, 64 (not 48)"),
        ("model.linear_path=256", "model.linear_path: must be from 0 to 128 (not 256)"),
        ("model.lambdas=[0.1,0.2]", "model.lambdas: must fall"),
        ("stages.first.layers=[middle]", "stages.first.layers: ['middle'] is not a prefix"),
        ("stages.first.train=[image_head]", "a 'codec' stage has no part 'image_head'"),
        ("defaults.batch_size=0", "config: defaults.batch_size: must be from 1 to 65536 (not 0)"),
        ("stages.first.precision=16-mixed", "stages.first.precision: must be auto, 32-true or bf16-mixed (not"),
    ],
)
def test_what_cannot_work_is_refused_by_its_full_key(experiment: Path, word: str, message: str) -> None:
    with pytest.raises(HscError) as caught:
        config.load([experiment], [word])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


FORMER = {  # former key → present name, and a value
    "defaults.rates": ("lr_scale", {"generator": 0.1}),
    "stages.first.weights": ("layer_weights", {"basic": 2.0}),
    "stages.second.watch": ("monitor", "val/basic/psnr"),
    "defaults.average_kimg": ("ema_kimg", 1),
    "stages.first.clip": ("grad_clip", 0),
    "model.picture": ("linear_path", 64),
}


def of_key(key: str, value: object) -> dict:
    """`{a: {b: value}}` for the key a.b."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize("key", FORMER)
def test_a_key_by_its_former_name_is_refused_with_the_new_one(experiment: Path, tmp_path: Path, key: str) -> None:
    """In a file, on the command line and in the arguments of a sweep agent."""
    now, value = FORMER[key]
    more, given = tmp_path / "more.yaml", tmp_path / "arguments.json"
    more.write_text(yaml.safe_dump(of_key(key, value)))
    given.write_text(json.dumps({key: value}))
    for files, words in (([more], []), ([], [f"{key}={json.dumps(value)}"]), ([given], [])):
        with pytest.raises(HscError, match=rf"^config: {key}: has been renamed to {now}$"):
            config.load([experiment, *files], words)


@pytest.mark.parametrize("key", ["stages.first.distillation", "model.layers.enhanced.grid"])
def test_a_key_that_is_gone_is_refused(experiment: Path, key: str) -> None:
    with pytest.raises(HscError, match=rf"{key}: has been removed; delete it"):
        config.load([experiment], [f"{key}=1"])


def test_a_value_by_its_former_name_is_refused_with_those_of_now(experiment: Path) -> None:
    with pytest.raises(HscError, match=r"first\.decode_with: must be generator, linear or full"):
        config.load([experiment], ["stages.first.decode_with=picture"])


def test_what_a_checkpoint_has_under_former_names_is_read(tmp_path: Path) -> None:
    """Only keys of the schema are renamed: stages and tasks may have any name."""
    text = """
        name: test
        model: {picture: 64}
        defaults: {rates: {generator: 0.1}, data: {path: faces.zip}}
        stages:
          picture:
            {decode_with: picture, weights: {basic: 2}, losses: {basic: {clip: 1}}, distillation: 1, data: {path: x}}
    """
    read = config.from_yaml(textwrap.dedent(text))
    stage = read.stages["picture"]
    assert (read.model.linear_path, read.defaults.lr_scale) == (64, {"generator": 0.1})
    assert (stage.decode_with, stage.layer_weights, stage.losses) == ("linear", {"basic": 2}, {"basic": {"clip": 1}})


ARCHITECTURE, CONST = "model.generator.architecture=mobilestylegan", "model.generator.input=const"
ROWS, WIDTHS = "model.layers.enhanced.rows=9", "model.encoder.channels=[8,8,8,8,8,8]"
MOBILE = [ARCHITECTURE, CONST, ROWS, WIDTHS]
LINEAR, FULL = [*MOBILE, "model.linear_path=64"], "model.generator.full=[192,192,128,8,8,8]"
ONLY_CODEC_STAGES = "stages.second.module: only codec stages have a linear path; leave model.linear_path 0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.generator.architecture=stylegan3"], "must be stylegan2 or mobilestylegan (not stylegan3)"),
        (["model.generator.full=[8,8,8,8,8,8]"], "only a mobilestylegan has two sizes"),
        ([ARCHITECTURE, CONST], "their rows add up to 10, but a 128² mobilestylegan has 16"),
        ([ARCHITECTURE, CONST, ROWS], "5 widths, but the generator has 6 resolutions"),
        ([ARCHITECTURE, ROWS, WIDTHS], "model.generator.input"),
        ([*MOBILE, "model.generator.channels=[8,8,6,8,8]"], "all but the last are multiples of 4"),
        ([*LINEAR, "stages.second={module: prior, train: [generator]}"], ONLY_CODEC_STAGES),
        ([*LINEAR, "stages.second={module: image_head, train: [image_head]}"], ONLY_CODEC_STAGES),
        ([*MOBILE, "model.generator.full=[8,8,8,8,8]"], "has more widths than channels, at most 8, and begins with"),
        ([*MOBILE, "model.generator.full=[8,8,4,8,8,8]"], "generator.full: has more widths than channels"),
        ([*MOBILE, "stages.second.decode_with=full"], "the generator has no full size; set model.generator.full"),
        ([*MOBILE, "stages.second.init_full=ffhq1024"], "the generator has no full size; set model.generator.full"),
        ([*MOBILE, "model.blocks=1"], "model.blocks: needs a model.linear_path smaller than the images; or leave it 0"),
        ([*MOBILE, "model.linear_path=128", "model.blocks=1"], "model.blocks: needs a model.linear_path smaller"),
        ([*LINEAR, "model.blocks=769"], "model.blocks: must be at most 768, the numbers of a block (not 769)"),
        ([*LINEAR, "model.blocks=7"], "7 components of each block are 448 latents, but the last layer has 432; raise"),
        ([*LINEAR, "stages.second.train=[details]"], "the model has no blocks whose details could be trained"),
        ([*MOBILE, "stages.second.decode_with=linear"], "the model has no linear path; set model.linear_path"),
        ([*LINEAR, "stages.second={decode_with: linear, train: [generator]}"], "generator would not learn: images are"),
        ([*LINEAR, FULL, "stages.second.train=[full]"], "full would not learn: images of the full size are not"),
        (
            [*LINEAR, "stages.second={quantise: none, train: [heads, entropy], losses: {enhanced: {l2: 1}}}"],
            "entropy would not learn: without",
        ),
        (
            [*LINEAR, "stages.second.losses.middle.l2=1", "stages.second.batch_size=1"],
            "has fewer images than layers with losses; raise it, or decode all",
        ),
        (
            [*MOBILE[:3], *(f"model.{net}.channels={[8] * n}" for net, n in (("encoder", 10), ("generator", 9)))],
            "a mobilestylegan has at most 8",
        ),
    ],
)
def test_what_no_generator_can_be_is_refused(experiment: Path, words: list[str], message: str) -> None:
    with pytest.raises(HscError) as caught:
        config.load([experiment], words)
    assert message in str(caught.value)


def test_a_mobile_stylegan_has_16_rows_at_every_size(experiment: Path) -> None:
    generator = config.load([experiment], MOBILE).model.generator
    assert (generator.resolutions[-1], generator.num_rows) == (128, 16)


def test_files_that_are_missing_or_no_mapping_are_named(tmp_path: Path) -> None:
    with pytest.raises(HscError, match=r"absent\.yaml: no such file"):
        config.load([tmp_path / "absent.yaml"])
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(HscError, match=r"list\.yaml: must hold a mapping"):
        config.load([tmp_path / "list.yaml"])
    (tmp_path / "torn.yaml").write_text("a: [1")
    with pytest.raises(HscError, match=r"torn\.yaml: not readable as YAML"):
        config.load([tmp_path / "torn.yaml"])
