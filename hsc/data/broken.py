"""Finding images that do not decode, once a data set."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from hsc.cache import write_to_cache
from hsc.data.faces import Faces
from hsc.data.progress import progress_lines
from hsc.errors import HscError
from hsc.files import cache_dir


def without_broken(faces: Faces) -> Faces:
    """The images that decode. All are read once; which do not is kept in `hsc.files.cache_dir()` for the next time.

    Says on standard error what is left out. Raises HscError when nothing is left.
    """
    known = cache_dir() / "broken" / f"{faces.content_key}.json"
    if known.is_file():
        broken = json.loads(known.read_text(encoding="utf-8"))
    else:
        broken = _find_broken(faces)
        write_to_cache(known, json.dumps(broken).encode())
    if len(broken) == len(faces):
        raise HscError(f"{faces.path}: none of the {len(faces)} images can be read; make the data set again")
    if broken:
        shown = ", ".join(broken[:5]) + (", …" if len(broken) > 5 else "")
        print(f"{faces.path}: leaving out {len(broken)} broken images: {shown}", file=sys.stderr)
    return faces.select(set(faces.names) - set(broken))


def _find_broken(faces: Faces) -> list[str]:
    tell, broken = progress_lines(len(faces), "looking for broken images"), []
    with ThreadPoolExecutor() as pool:
        for done, fine in enumerate(pool.map(lambda name: _decodes(faces, name), faces.names), start=1):
            if not fine:
                broken.append(faces.names[done - 1])
            tell(done)
    return broken


def _decodes(faces: Faces, name: str) -> bool:
    try:
        faces.load(name)
    except HscError:
        return False
    return True
