"""An experiment's files and words → one checked `Config`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from hsc.config.checks import check, check_model, check_written
from hsc.config.reading import Tree, merged, read_arguments, read_words, read_yaml, resolved
from hsc.config.schema import Config, ModelConfig
from hsc.config.validation import build, renamed, unknown
from hsc.errors import HscError


def load(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Config:
    """Merge YAML files in order, then `key=value` words; check everything; return plain dataclasses.

    A `.json` file holds words, by dotted keys, as W&B agents write them for `${args_json_file}`.
    Raises HscError, in one line with the full path of the key, for a missing file, an unknown key (with the nearest
    known one), a wrong type, a value out of range or an impossible combination: before anything is computed.
    """
    given = [file for file in files if Path(file).suffix == ".json"]
    read = [read_yaml(file) for file in files if file not in given]
    words = merged(*[read_arguments(file) for file in given], read_words(overrides))
    _refuse_hydra([*read, words])
    _check_stage_names(read, words)
    written = merged(*read, words)
    defaults = asdict(Config())
    if any("layers" in _section(tree, "model") for tree in read):
        defaults["model"]["layers"] = {}  # a file that names layers names all of them
    config = build(Config, resolved(_inheriting(merged(defaults, written))))
    check(config)
    check_written(config, written)
    return config


def to_yaml(config: Config) -> str:
    """The resolved config as YAML text."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def from_yaml(text: str) -> Config:
    """The config of which `to_yaml` made the text, also where it has former names of keys.

    Raises HscError where it is another version's.
    """
    values = renamed(Config, OmegaConf.to_container(OmegaConf.create(text)))
    return build(Config, values, "the checkpoint was written by another version of hsc")


def model_from_dict(values: Mapping[str, Any]) -> ModelConfig:
    """A model's config as a weights file keeps it, also where it has former names of keys."""
    defaults = asdict(ModelConfig()) | {"layers": {}}
    current = renamed(ModelConfig, values)
    model = build(ModelConfig, merged(defaults, current), "the weights were written by another version of hsc")
    check_model(model)
    return model


def _inheriting(tree: Tree) -> Tree:
    """Every stage with the defaults that it does not replace."""
    defaults = _section(tree, "defaults")
    stages = {
        name: merged(defaults, stage or {}) if isinstance(stage, dict | None) else stage
        for name, stage in _section(tree, "stages").items()
    }
    return tree | ({"stages": stages} if isinstance(tree["stages"], dict) else {})


def _check_stage_names(files: Sequence[Tree], words: Tree) -> None:
    """A name that stands only in a word, or in a later file that does not run it, is a typing error."""
    known: list[str] = []
    for place, tree in enumerate([*files, words]):
        new = [name for name in _section(tree, "stages") if name not in known]
        run = tree.get("run") if tree is not words else None
        for name in new:
            if place and name not in (run if isinstance(run, list) else ()):
                raise HscError(f"config: {unknown('stage', name, known)}")
        known += new


def _refuse_hydra(trees: Sequence[Tree]) -> None:
    if any(isinstance(tree.get("defaults"), list) for tree in trees):
        raise HscError(
            "config: defaults: holds what every stage inherits, such as {batch_size: 16}, and no list of files as "
            "Hydra's does; give the files on the command line: hsc train FIRST.yaml SECOND.yaml"
        )


def _section(tree: Tree, key: str) -> Mapping[str, Any]:
    """A mapping in the tree; empty where there is something else, which is refused with the rest."""
    value = tree.get(key)
    return value if isinstance(value, dict) else {}
