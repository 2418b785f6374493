"""YAML files and `key=value` words → one checked `Config`."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hsc.config.checks import check, check_model
from hsc.config.schema import Config, ModelConfig
from hsc.errors import HscError


def load(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Config:
    """Merge YAML files in order, then `key=value` words; check everything; return plain dataclasses.

    Raises HscError, in one line with the full path of the key, for a missing file, an unknown key (with the nearest
    known one), a wrong type or an impossible combination: before anything is computed.
    """
    written = [_read(file) for file in files]
    raw = OmegaConf.merge(*written, OmegaConf.from_dotlist([_none(word) for word in overrides]))
    assert isinstance(raw, DictConfig)
    _check_keys(raw, Config, "")
    schema = OmegaConf.structured(Config)
    if any(OmegaConf.select(file, "model.layers") for file in written):
        schema.model.layers = {}  # a file that names layers names all of them
    try:
        config: Config = OmegaConf.to_object(_merge(schema, raw))  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise HscError(f"config: {error.full_key}: {_first_line(error)}") from error
    check(config)
    return config


def to_yaml(config: Config) -> str:
    """The resolved config as YAML text."""
    return OmegaConf.to_yaml(OmegaConf.structured(config), resolve=True)


def model_from_dict(values: Mapping[str, Any]) -> ModelConfig:
    """A model's config as a weights file keeps it."""
    schema = OmegaConf.structured(ModelConfig)
    schema.layers = {}
    try:
        model: ModelConfig = OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.create(dict(values))))  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise HscError(f"the weights were written by another version of hsc: {_first_line(error)}") from error
    check_model(model)
    return model


def _merge(schema: DictConfig, raw: DictConfig) -> DictConfig:
    shared = OmegaConf.create({key: value for key, value in raw.items() if key != "stages"})
    merged = _merge_at(schema, shared, "")
    for name, stage in (raw.get("stages") or {}).items():
        merged.stages[name] = _merge_at(merged.defaults, stage or OmegaConf.create({}), f"stages.{name}")
    return merged


def _merge_at(schema: DictConfig, values: DictConfig, where: str) -> DictConfig:
    try:
        return OmegaConf.merge(schema, values)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        # OmegaConf names the key below what is merged (or under `defaults`, where a stage's schema stands).
        key = str(error.full_key or "").removeprefix("defaults.") if where else str(error.full_key or "")
        raise HscError(f"config: {'.'.join(filter(None, (where, key)))}: {_first_line(error)}") from error


def _read(file: str | Path) -> DictConfig:
    try:
        content = OmegaConf.load(file)
    except FileNotFoundError as error:
        raise HscError(f"{file}: no such file; experiments/ holds the ones that come with hsc") from error
    except Exception as error:  # the YAML parser's own errors share no useful base class with OmegaConf's
        raise HscError(f"{file}: not readable as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, DictConfig):
        raise HscError(f"{file}: must hold a mapping of keys, such as `name: my-run`")
    return content


def _none(word: str) -> str:
    """`key=None` (as W&B agents write it) means null."""
    key, _, value = word.removeprefix("--").partition("=")
    return f"{key}={'null' if value == 'None' else value}"


def _check_keys(raw: Any, schema: Any, path: str) -> None:
    """Refuse keys the schema does not know, by their full path; OmegaConf's names neither path nor neighbour."""
    if not isinstance(raw, DictConfig):
        return
    known = {f.name: f.type for f in fields(schema)}
    for key in raw:
        word = str(key)
        here = f"{path}.{word}" if path else word
        if word not in known:
            near = difflib.get_close_matches(word, known, 1, 0.5)
            hint = (
                f", did you mean {'.'.join(filter(None, (path, near[0])))!r}?"
                if near
                else f" (known: {', '.join(known)})"
            )
            raise HscError(f"config: unknown key {here!r}{hint}")
        child = known[word]
        value = raw._get_node(key)
        if is_dataclass(child):
            _check_keys(value, child, here)
        elif isinstance(value, DictConfig) and (arguments := get_args(child)) and is_dataclass(arguments[-1]):
            for name in value:
                _check_keys(value._get_node(name), arguments[-1], f"{here}.{name!s}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
