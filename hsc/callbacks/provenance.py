"""The provenance of a result: code, configuration, packages and machine."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml

import hsc
from hsc.callbacks.loggers import add_to_wandb_config
from hsc.files import write_atomically

SOURCE = Path(hsc.__file__).parent
PACKAGES = (
    "torch",
    "torchvision",
    "pytorch-lightning",
    "torchmetrics",
    "numpy",
    "pillow",
    "safetensors",
    "constriction",
    "omegaconf",
    "lpips",
    "wandb",
    "dlib-bin",
    "insightface",
    "onnxruntime",
)


def collect() -> dict[str, Any]:
    """The running program as JSON values: hsc's version and commit, Python, packages, device, command and time."""
    return {
        "hsc": hsc.__version__,
        "git": git_state(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "device": device(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def git_state() -> dict[str, Any] | None:
    """Commit of hsc's own sources, and whether they differ from it; None if hsc does not run from a repository of its
    own.
    """
    # An installed copy may lie inside another project's repository, whose commit would be wrong.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    commit = _git("rev-parse", "HEAD")
    return {"commit": commit and commit.strip(), "changed": bool(git_patch())}


def git_patch() -> str:
    """Changes of tracked files since the commit, in the format of `git apply`, and the names of new files, as
    comments.
    """
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return ""
    new = (_git("ls-files", "--others", "--exclude-standard", "--full-name") or "").splitlines()
    return "".join(f"# not in the commit: {name}\n" for name in new) + (_git("diff", "HEAD", "--no-ext-diff") or "")


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that results may depend on."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def device() -> dict[str, Any]:
    """The processor, its threads, and GPUs."""
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": torch.version.cuda,
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
    }


class ProvenanceCallback(pl.Callback):
    """Writes `provenance/` into the Trainer's `default_root_dir` before anything runs, and the same into the W&B
    config.

    `provenance.json`: the output of `collect`. `code.patch`: differences from the commit. `config.yaml`: the resolved
    configuration, given here as text.
    """

    def __init__(self, config: str | None = None) -> None:
        self.config = config

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if not trainer.is_global_zero:
            return
        provenance = collect()
        write(Path(trainer.default_root_dir) / "provenance", provenance, self.config)
        add_to_wandb_config(trainer, {"provenance": provenance})
        if self.config is not None:
            add_to_wandb_config(trainer, yaml.safe_load(self.config))


def write(folder: Path, provenance: Mapping[str, Any], config: str | None = None) -> None:
    """Write `provenance.json`, `code.patch` if the code differs from its commit, and `config.yaml` if given."""
    write_atomically(folder / "provenance.json", (json.dumps(provenance, indent=2) + "\n").encode())
    if patch := git_patch():
        write_atomically(folder / "code.patch", patch.encode())
    if config is not None:
        write_atomically(folder / "config.yaml", config.encode())


def _git(*arguments: str) -> str | None:
    """The output of git for hsc's folder; None if it fails or there is no git."""
    try:
        finished = subprocess.run(["git", *arguments], cwd=SOURCE, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return finished.stdout.decode(errors="replace") if finished.returncode == 0 else None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
