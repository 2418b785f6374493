"""From a trial's values to the command that trains it, using the code of W&B's own agent.

The agent's code is private to wandb, whose version pyproject.toml pins; no other part of hsc uses it.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hsc import config as configuration
from hsc.config import Config
from hsc.errors import HscError
from hsc.files import write_atomically
from hsc.sweeps.parameters import nested
from hsc.sweeps.sweep_file import Sweep

ARGUMENTS = "arguments.json"  # the file name in `${args_json_file}`


def command(sweep: Sweep, values: Mapping[str, Any], folder: Path) -> list[str]:
    """The command that a W&B agent would run for these values of the parameters.

    `folder`: where `${args_json_file}` is written, if the command uses it.
    Raises HscError for a macro that agents do not support.
    """
    from wandb.sdk.launch.sweeps import utils

    arguments = {name: {"value": value} for name, value in nested(sweep.parameters, values).items()}
    macros: dict[str, list[str]] = utils.create_sweep_command_args({"args": arguments})
    macros |= {"env": ["/usr/bin/env"], "interpreter": [sys.executable], "program": [str(sweep.program)]}
    words = utils.create_sweep_command(list(sweep.command) if sweep.command else None)
    given = macros.pop("args_dict")
    if "${args_json_file}" in words:
        file = folder / ARGUMENTS
        write_atomically(file, json.dumps(given).encode())
        macros["args_json_file"] = [str(file)]
    result: list[str] = []
    for word in words:
        if word.startswith("${") and word.endswith("}"):
            if word[2:-1] not in macros:
                raise HscError(
                    f"sweep: command: W&B's agents do not support {word} (they know {', '.join(sorted(macros))})"
                )
            result += macros[word[2:-1]]
        else:
            result.append(word)
    return result


def checked(sweep: Sweep, values: Mapping[str, Any]) -> list[str]:
    """The command for these values, with only the file name for `${args_json_file}`.

    Raises HscError if they could not work.
    """
    with TemporaryDirectory() as folder:
        words = command(sweep, values, Path(folder))
        experiment(words)
    return [ARGUMENTS if word == str(Path(folder) / ARGUMENTS) else word for word in words]


def experiment(words: list[str]) -> Config | None:
    """The config that a command would train; None if the command does not call `hsc train` directly.

    Raises HscError for an invalid config, before anything is computed.
    """
    if "train" not in words:
        return None
    arguments = [word.removeprefix("--") for word in words[words.index("train") + 1 :]]
    files = [word for word in arguments if "=" not in word]
    if not files or not all(Path(file).suffix in (".yaml", ".yml", ".json") for file in files):
        return None
    return configuration.load(files, [word for word in arguments if "=" in word])
