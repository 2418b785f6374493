"""YAML files and `key=value` words → plain nested mappings: read, merged, with their `${…}` filled in."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from hsc.config.ranges import shown
from hsc.errors import HscError

Tree = dict[str, Any]

# RecursionError: an anchor or `${…}` that holds itself. The last ones: keys and numbers that only YAML knows.
UNREADABLE = (YAMLError, OmegaConfBaseException, RecursionError, TypeError, ValueError, AttributeError, LookupError)


def read_yaml(file: str | Path) -> Tree:
    """The keys of a YAML file, `${…}` as written. Raises HscError for what is missing or holds something else."""
    try:
        content = OmegaConf.load(file)
        tree = _plain(OmegaConf.to_container(content))
    except FileNotFoundError as error:
        raise HscError(f"{file}: no such file; experiments/ holds the ones that come with hsc") from error
    except OSError as error:
        raise HscError(f"{file}: cannot be read ({error.strerror or error})") from error
    except AssertionError:  # OmegaConf's, of a file that holds a text and nothing else
        tree = None
    except UNREADABLE as error:
        raise HscError(f"{file}: not readable as YAML: {_one_line(error)}") from error
    if not isinstance(tree, dict):
        raise HscError(f"{file}: must hold a mapping of keys, such as `name: my-run`")
    return tree


def read_words(words: Sequence[str]) -> Tree:
    """Words `a.b=value` or `--a.b=value` as nested keys, values in YAML's words; `None` (as of W&B agents) is null.

    Raises HscError for what is no such word.
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


def read_arguments(file: str | Path) -> Tree:
    """A JSON file of values by dotted keys, which W&B agents write for `${args_json_file}`, as nested keys."""
    return merged(*[_branch(key.split("."), value) for key, value in read_yaml(file).items()])


def _branch(keys: Sequence[str], value: Any) -> Tree:
    """`{a: {b: value}}` of the keys a, b."""
    for key in reversed(keys):
        value = {key: value}
    return value


def merged(*trees: Mapping[str, Any]) -> Tree:
    """Later ones win, mapping by mapping; anything else is replaced as a whole."""
    result: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            old = result.get(key)
            both = isinstance(old, dict) and isinstance(value, dict)
            result[key] = merged(old, value) if both else deepcopy(value)  # type: ignore[arg-type]
    return result


def resolved(tree: Tree, what: str = "config") -> Tree:
    """With every `${key}` replaced by what it names. Raises HscError where it names nothing."""
    try:
        return OmegaConf.to_container(OmegaConf.create(tree), resolve=True)  # type: ignore[return-value]
    except UNREADABLE as error:
        key = getattr(error, "full_key", None)
        where = f"{what}: {shown(key)}" if key else what
        raise HscError(f"{where}: {_one_line(error)}") from error


def _plain(value: Any) -> Any:
    """With text for keys, whatever YAML took them for."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def _one_line(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "something in it holds itself"
    if isinstance(error, YAMLError):
        return " ".join(str(error).split())
    return str(error).partition("\n")[0]
