"""The path of a model's weights, given a released name, a run folder or a file."""

from pathlib import Path

from hsc import files
from hsc.errors import HscError

ASSETS = Path(__file__).parent / "assets"
DEFAULT_MODEL = "ffhq128"
DEFAULT_PRIOR = "prior128"
CODEC, PRIOR = "codec.safetensors", "prior.safetensors"  # one of which a finished run's folder contains
FETCHED = ("ffhq1024",)  # priors that do not come with hsc: `hsc weights fetch` makes them


def released_names() -> list[str]:
    """Names of the weights that come with hsc, priors and codecs."""
    return sorted(path.stem for path in ASSETS.glob("*.safetensors") if path.with_suffix(".md").exists())


def find_weights(name: str | Path) -> Path:
    """A released or fetched name, a run folder (its last finished stage) or a weights file → the file.

    Raises HscError, naming the alternatives or what to do, if there is none.
    """
    path = Path(name or DEFAULT_MODEL)
    if str(path) in FETCHED and not path.exists():
        return _fetched(str(path))
    if (asset := ASSETS / f"{path.name}.safetensors").is_file() and len(path.parts) == 1:
        return asset
    if path.is_dir():
        for candidate in (path / CODEC, path / PRIOR):
            if candidate.is_file():
                return candidate
        raise HscError(
            f"{path}: no finished run with a codec or prior; let `hsc train` finish, it resumes where it stopped, or "
            "give the weights.safetensors of one of its stages"
        )
    if path.is_file():
        return path
    raise HscError(
        f"no weights {str(path)!r}: give a file, a run folder or one of {', '.join(released_names()) or '(none here)'}"
    )


def _fetched(name: str) -> Path:
    place = files.weights_dir() / f"{name}.safetensors"
    if not place.is_file():
        raise HscError(f"{name} is missing: run `hsc weights fetch {name}`, or put {place.name} at {place}")
    return place
