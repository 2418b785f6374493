"""If the cache cannot be written to, one line says so and the work continues."""

from pathlib import Path

import numpy as np
import pytest

from hsc.cache import cached_file, write_to_cache
from hsc.errors import HscError
from hsc.files import write_atomically


@pytest.mark.usefixtures("no_cache")
def test_one_line_names_the_remedy(tmp_path: Path, capsys):
    blocked = tmp_path / "file"
    assert not write_to_cache(blocked / "answers" / "one", b"1")
    assert not write_to_cache(blocked / "anchors" / "two", b"2")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cannot write {blocked}/answers/one: ")
    assert line.endswith("set HSC_CACHE to a folder you can write to")


def test_a_file_is_made_once(cache: Path):
    assert cached_file("points/a", lambda: b"made") == cache / "points" / "a"
    assert cached_file("points/a", lambda: pytest.fail("made again")).read_bytes() == b"made"


@pytest.mark.usefixtures("no_cache")
def test_without_the_cache_a_file_is_temporary(tmp_path: Path, capsys):
    path = cached_file("points/b", lambda: lambda stream: np.save(stream, np.arange(3)))
    assert np.load(path).tolist() == [0, 1, 2]
    assert tmp_path / "file" not in path.parents
    assert cached_file("points/b", lambda: pytest.fail("made again")) == path
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.usefixtures("no_cache")
def test_elsewhere_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path, capsys):
    with pytest.raises(HscError, match="choose a folder"):
        write_atomically(tmp_path / "file" / "codec", b"")
    assert capsys.readouterr().err == ""
