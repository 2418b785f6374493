"""An experiment's YAML files and `key=value` overrides: read, merged, `${…}` resolved → one validated `Config`."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from hsc.config.checks import check, check_model, check_written
from hsc.config.ranges import shown
from hsc.config.schema import Config, ModelConfig
from hsc.config.validation import build, renamed, unknown
from hsc.errors import HscError

Tree = dict[str, Any]

# RecursionError: an anchor or `${…}` that contains itself. The last ones: keys and numbers that only YAML allows.
UNREADABLE = (YAMLError, OmegaConfBaseException, RecursionError, TypeError, ValueError, AttributeError, LookupError)


def load(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Config:
    """Merge YAML files in order, then `key=value` overrides; validate everything; return plain dataclasses.

    A `.json` file holds overrides by dotted keys, as W&B agents write them for `${args_json_file}`.
    Raises HscError, in one line with the full path of the key, for a missing file, an unknown key (with the nearest
    known one), a wrong type, a value out of range or an invalid combination, before anything is computed.
    """
    given = [file for file in files if Path(file).suffix == ".json"]
    read = [_read_yaml(file) for file in files if file not in given]
    words = merged(*[_read_arguments(file) for file in given], _read_words(overrides))
    _refuse_hydra([*read, words])
    _check_stage_names(read, words)
    written = merged(*read, words)
    defaults = asdict(Config())
    if any("layers" in _section(tree, "model") for tree in read):
        defaults["model"]["layers"] = {}  # a file that defines layers defines all of them
    config = build(Config, _resolved(_inheriting(merged(defaults, written))))
    check(config)
    check_written(config, written)
    return config


def to_yaml(config: Config) -> str:
    """The resolved config as YAML text."""
    return OmegaConf.to_yaml(OmegaConf.create(asdict(config)))


def from_yaml(text: str) -> Config:
    """The config from which `to_yaml` made the text, which may contain former names of keys.

    Raises HscError if it is from another version.
    """
    values = renamed(Config, OmegaConf.to_container(OmegaConf.create(text)))
    return build(Config, values, "the checkpoint was written by another version of hsc")


def model_from_dict(values: Mapping[str, Any]) -> ModelConfig:
    """A model's config as stored in a weights file, which may contain former names of keys."""
    defaults = asdict(ModelConfig()) | {"layers": {}}
    current = renamed(ModelConfig, values)
    model = build(ModelConfig, merged(defaults, current), "the weights were written by another version of hsc")
    check_model(model)
    return model


def _inheriting(tree: Tree) -> Tree:
    """The tree with every stage completed by `defaults`."""
    defaults = _section(tree, "defaults")
    stages = {
        name: merged(defaults, stage or {}) if isinstance(stage, dict | None) else stage
        for name, stage in _section(tree, "stages").items()
    }
    return tree | ({"stages": stages} if isinstance(tree["stages"], dict) else {})


def _check_stage_names(files: Sequence[Tree], words: Tree) -> None:
    """Reject a stage name that occurs only in an override, or in a later file that does not run it, as a typo."""
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
            "config: defaults: holds the fields that every stage inherits, such as {batch_size: 16}, not a list of "
            "files as in Hydra; give the files on the command line: hsc train FIRST.yaml SECOND.yaml"
        )


def _section(tree: Tree, key: str) -> Mapping[str, Any]:
    """A mapping in the tree; empty if it is of another type, which is rejected later."""
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def _read_yaml(file: str | Path) -> Tree:
    """The keys of a YAML file, `${…}` as written. Raises HscError if it is missing or has other content."""
    try:
        content = OmegaConf.load(file)
        tree = _plain(OmegaConf.to_container(content))
    except FileNotFoundError as error:
        raise HscError(f"{file}: no such file; those that come with hsc are in experiments/") from error
    except OSError as error:
        raise HscError(f"{file}: cannot be read ({error.strerror or error})") from error
    except AssertionError:  # by OmegaConf, for a file that contains only a string
        tree = None
    except UNREADABLE as error:
        raise HscError(f"{file}: not readable as YAML: {_one_line(error)}") from error
    if not isinstance(tree, dict):
        raise HscError(f"{file}: must hold a mapping of keys, such as `name: my-run`")
    return tree


def _read_words(words: Sequence[str]) -> Tree:
    """Overrides `a.b=value` or `--a.b=value` as nested keys, with values in YAML; `None` (from W&B agents) is null.

    Raises HscError for anything else.
    """
    tree: Tree = {}
    for word in words:
        key, _, text = word.removeprefix("--").partition("=")
        keys = key.split(".")
        if not all(keys):
            raise HscError(f"config: {shown(word)}: write it as KEY=VALUE, such as defaults.batch_size=16")
        try:
            value = _plain(
                OmegaConf.to_container(OmegaConf.from_dotlist([f"value={'null' if text == 'None' else text}"]))
            )
        except UNREADABLE as error:
            raise HscError(f"config: {shown(word)}: not readable as YAML: {_one_line(error)}") from error
        tree = merged(tree, _branch(keys, value["value"]))
    return tree


def _read_arguments(file: str | Path) -> Tree:
    """A JSON file of values by dotted keys, which W&B agents write for `${args_json_file}`, as nested keys."""
    return merged(*[_branch(key.split("."), value) for key, value in _read_yaml(file).items()])


def _branch(keys: Sequence[str], value: Any) -> Tree:
    """`{a: {b: value}}` for the keys a, b."""
    for key in reversed(keys):
        value = {key: value}
    return value


def merged(*trees: Mapping[str, Any]) -> Tree:
    """Trees merged mapping by mapping, where later ones win; any other value is replaced as a whole."""
    result: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            old = result.get(key)
            both = isinstance(old, dict) and isinstance(value, dict)
            result[key] = merged(old, value) if both else deepcopy(value)  # type: ignore[arg-type]
    return result


def _resolved(tree: Tree) -> Tree:
    """The tree with every `${key}` replaced by its value. Raises HscError if there is no such key."""
    try:
        return OmegaConf.to_container(OmegaConf.create(tree), resolve=True)  # type: ignore[return-value]
    except UNREADABLE as error:
        key = getattr(error, "full_key", None)
        where = f"config: {shown(key)}" if key else "config"
        raise HscError(f"{where}: {_one_line(error)}") from error


def _plain(value: Any) -> Any:
    """The tree with all keys as strings, whatever type YAML gave them."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _one_line(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it contains itself"
    if isinstance(error, YAMLError):
        return " ".join(str(error).split())
    return str(error).partition("\n")[0]
