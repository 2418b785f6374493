"""`hsc doctor`."""

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple

import typer

from hsc.errors import HscError
from hsc.progress import status


class Finding(NamedTuple):
    """One check: whether it passed, what was found, and the command or step that fixes it."""

    topic: str
    works: bool
    found: str
    remedy: str = ""


def doctor() -> None:
    """Check what works on this machine, and say how to fix the rest.

    Exits 1 only when hsc itself cannot run; missing judges, anchors and data sets are optional.

    \b
    Example:
      hsc doctor
    """
    with status("checking this machine"):
        findings = list(_core())
        runs = all(finding.works for finding in findings)
        for check in (_accelerator, _wandb, _data, _codecs, _judges, _anchors) if runs else ():
            findings += check()
    width = 2 + max(len(finding.topic) for finding in findings)
    for finding in findings:
        typer.echo(f"{finding.topic:<{width}}{'ok' if finding.works else 'MISSING':<9}{finding.found}")
        if finding.remedy:
            typer.echo(f"{'':<{width + 9}}-> {finding.remedy}")
    if not runs:
        raise HscError("hsc cannot run until the lines marked MISSING are fixed")


def _core() -> Iterator[Finding]:
    """Checks without which nothing works."""
    yield Finding("python", True, platform.python_version())
    try:
        import torch

        yield Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")
        # Looked up, not imported: that would take longer than everything else here.
        if find_spec("pytorch_lightning") is None:
            raise ModuleNotFoundError("No module named 'pytorch_lightning'")
        yield Finding("pytorch-lightning", True, version("pytorch-lightning"))
    except Exception as error:  # a broken installation can fail in any way, and this verb must report it
        reason = " ".join(str(error).split())[:200]
        yield Finding("installation", False, reason, "make env, or pip install -e . in a fresh environment")


def _accelerator() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield Finding("gpu", True, f"{names}, CUDA {torch.version.cuda}")
    else:
        yield Finding("gpu", True, "none: everything runs on the CPU, but training is slower")


def _wandb() -> Iterator[Finding]:
    if mode := os.environ.get("WANDB_MODE"):
        yield Finding("W&B", True, f"WANDB_MODE={mode}")
    elif os.environ.get("WANDB_API_KEY") or _netrc_knows("api.wandb.ai"):
        yield Finding("W&B", True, "logged in")
    else:
        yield Finding("W&B", True, "not logged in: runs are kept offline in the run folder", "wandb login")


def _netrc_knows(host: str) -> bool:
    import netrc

    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def _data() -> Iterator[Finding]:
    from hsc.files import data_dir

    folder = data_dir()
    if folder is None or not folder.is_dir():
        remedy = "export HSC_DATA=FOLDER, or use generated faces: hsc data sample faces.zip --count 500"
        yield Finding("data", False, f"no folder of faces ({folder or 'HSC_DATA is not set'})", remedy)
    else:
        sets = sorted(path.name for path in folder.iterdir() if path.suffix == ".zip" or path.is_dir())
        yield Finding("data", True, f"{folder}: {', '.join(sets) or 'empty'}")


def _codecs() -> Iterator[Finding]:
    from hsc.checkpoints import weights_file
    from hsc.config import model_from_dict
    from hsc.nets.build import image_size
    from hsc.released import DEFAULT_MODEL, find_weights

    try:
        # Read, not built, which would take as long again.
        model = model_from_dict(weights_file.load(find_weights(DEFAULT_MODEL), "codec").config)
    except HscError as error:
        yield Finding(
            "pretrained codec", False, str(error), "hsc train experiments/quickstart.yaml, then --model runs/quickstart"
        )
    else:
        side = image_size(model)
        found = f"{DEFAULT_MODEL}, {side}x{side}, {len(model.layers)} layers, {len(model.lambdas)} qualities"
        yield Finding("pretrained codec", True, found)


def _judges() -> Iterator[Finding]:
    """A judge, or anything else that needs weights, works if all of its files are present."""
    from hsc.judges import judge_names
    from hsc.judges.weights import status

    needs: dict[str, list[str]] = {}
    for row in status():
        for name in row.file.enables:
            needs.setdefault(name, []).extend([] if row.present else [f"{row.file.name}: {row.remedy}"])
    for name, missing in needs.items():
        topic = f"judge {name}" if name.partition(":")[0] in judge_names() else name
        yield Finding(topic, not missing, "weights missing" if missing else "weights present", "; ".join(missing))


def _anchors() -> Iterator[Finding]:
    from hsc.evaluation.anchors import ANCHORS, AnchorNotAvailable

    for name, anchor in ANCHORS.items():
        try:
            yield Finding(f"anchor {name}", True, anchor().version())
        except AnchorNotAvailable as error:
            yield Finding(f"anchor {name}", False, "not available", str(error).rpartition("not available: ")[2])
