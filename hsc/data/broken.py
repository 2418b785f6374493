"""Finding images that do not decode, once a data set."""

import json
from concurrent.futures import ThreadPoolExecutor

from hsc.cache import write_to_cache
from hsc.data.faces import Faces
from hsc.data.pictures import say_once
from hsc.errors import FileRefused, HscError
from hsc.files import cache_dir
from hsc.progress import progress


def without_broken(faces: Faces) -> Faces:
    """The images that decode. All are read once; which do not is kept in `hsc.files.cache_dir()` for the next time.

    What the file system refuses to give, a dangling link or for want of a permission, is left out too but not kept:
    it is asked for again the next time. Says on standard error what is left out. Raises HscError when nothing is left.
    """
    refused = faces.unreadable
    left = faces.select(set(faces.names) - refused)
    known = cache_dir() / "broken" / f"{left.content_key}.json"
    if known.is_file():
        broken = set(json.loads(known.read_text(encoding="utf-8")))
    else:
        broken, newly_refused = _find_broken(left)
        refused |= newly_refused
        if not newly_refused:
            write_to_cache(known, json.dumps(sorted(broken)).encode())
    if len(broken | refused) == len(faces):
        raise HscError(f"{faces.path}: none of the {len(faces)} images can be read; make the data set again")
    for names, what in ((broken, "broken images"), (refused, "images that the file system does not give")):
        if names:
            shown = ", ".join(sorted(names)[:5]) + (", …" if len(names) > 5 else "")
            say_once(f"{faces.path}: leaving out {len(names)} {what}: {shown}")
    return faces.select(set(faces.names) - broken - refused)


def _find_broken(faces: Faces) -> tuple[set[str], set[str]]:
    """Names of images that are broken, and of those that the file system refused."""
    faults: dict[str, HscError] = {}
    with ThreadPoolExecutor() as pool, progress(len(faces), "looking for broken images") as advance:
        for name, fault in pool.map(lambda name: (name, _fault(faces, name)), faces.names):
            if fault is not None:
                faults[name] = fault
            advance()
    refused = {name for name, fault in faults.items() if isinstance(fault, FileRefused)}
    return faults.keys() - refused, refused


def _fault(faces: Faces, name: str) -> HscError | None:
    try:
        faces.load(name)
    except HscError as error:
        return error
    return None
