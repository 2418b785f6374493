"""A cache that cannot be written to costs one line, not the work."""

from pathlib import Path

import numpy as np
import pytest

from hsc import cache
from hsc.cache import cached_file, write_to_cache
from hsc.errors import HscError
from hsc.files import write_atomically


@pytest.fixture
def blocked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which no file can be made, whoever runs the tests: its folder is a file."""
    folder = tmp_path / "cache"
    folder.write_text("in the way")
    monkeypatch.setenv("HSC_CACHE", str(folder))
    return folder


def test_one_line_names_the_remedy(blocked: Path, capsys):
    assert not write_to_cache(blocked / "answers" / "one", b"1")
    assert not write_to_cache(blocked / "anchors" / "two", b"2")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"cannot write {blocked}/answers/one: ")
    assert line.endswith("set HSC_CACHE to a folder you can write to")


def test_a_file_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HSC_CACHE", str(tmp_path))
    assert cached_file("points/a", lambda: b"made") == tmp_path / "points" / "a"
    assert cached_file("points/a", lambda: pytest.fail("made again")).read_bytes() == b"made"


def test_without_the_cache_a_file_is_temporary(blocked: Path, capsys):
    path = cached_file("points/b", lambda: lambda stream: np.save(stream, np.arange(3)))
    assert np.load(path).tolist() == [0, 1, 2]
    assert blocked not in path.parents
    assert cached_file("points/b", lambda: pytest.fail("made again")) == path
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_elsewhere_a_folder_that_cannot_be_written_to_is_an_error(blocked: Path):
    with pytest.raises(HscError, match="choose a folder"):
        write_atomically(blocked / "codec", b"")
    assert not cache._warned_of & {blocked}
