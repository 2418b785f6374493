"""Finding images that do not decode, once a data set."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

from hsc.data.faces import Faces
from hsc.errors import HscError
from hsc.files import cache_dir, write_atomically


def without_broken(faces: Faces) -> Faces:
    """The images that decode. All are read once; the names of the others are printed and kept for the next time.

    Raises HscError when none is left.
    """
    known = cache_dir() / "broken" / f"{faces.content_key}.json"
    if known.is_file():
        broken = set(json.loads(known.read_text(encoding="utf-8")))
    else:
        with ThreadPoolExecutor() as pool:
            decodes = pool.map(lambda name: _decodes(faces, name), faces.names)
        broken = {name for name, fine in zip(faces.names, decodes, strict=True) if not fine}
        write_atomically(known, json.dumps(sorted(broken)).encode())
    if not broken:
        return faces
    if len(broken) == len(faces):
        raise HscError(f"{faces.path}: none of the {len(faces)} images can be read")
    print(f"{faces.path}: leaving out {len(broken)} broken images: {', '.join(sorted(broken)[:5])}", file=sys.stderr)
    return faces.select(name for name in faces.names if name not in broken)


def _decodes(faces: Faces, name: str) -> bool:
    try:
        faces.load(name)
    except HscError:
        return False
    return True
