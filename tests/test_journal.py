"""A journal after any crash: complete entries count, truncated or damaged ones are work to be repeated."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsc.errors import HscError
from hsc.journal import Journal

VALUES = st.lists(st.one_of(st.text(max_size=5), st.integers(), st.dictionaries(st.text(max_size=3), st.floats(0, 1))))


def written(path: Path, values: list, header: object = None) -> bytes:
    with Journal(path, header) as journal:
        journal.add(values[:1])
        journal.add(values[1:])
    return path.read_bytes()


@pytest.mark.parametrize("header", [None, "key", {"quality": 2.5}])
@given(values=VALUES, share=st.floats(0, 1))
def test_cut_anywhere_it_holds_what_was_whole_and_takes_more(
    tmp_path_factory: pytest.TempPathFactory, header: object, values: list, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / "journal"
    content = written(path, values, header)
    path.write_bytes(content[: round(share * len(content))])
    whole = max(path.read_bytes().count(b"\n") - (header is not None), 0)
    with Journal(path, header) as journal:
        assert list(journal) == values[:whole]
        journal.add(values[whole:])
        assert list(journal) == values
    assert path.read_bytes() == content


def test_another_header_begins_anew(tmp_path: Path) -> None:
    written(tmp_path / "journal", [1, 2], "these settings")
    with Journal(tmp_path / "journal", "other settings") as journal:
        assert list(journal) == []


def test_a_damaged_line_is_none_and_its_neighbours_are_as_they_were(tmp_path: Path) -> None:
    content = written(tmp_path / "journal", [1, 2, 3])
    (tmp_path / "journal").write_bytes(content.replace(b"2", b"\xff"))
    with Journal(tmp_path / "journal") as journal:
        assert list(journal) == [1, None, 3]
        journal.keep(1)
        assert list(journal) == [1]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HscError, match=r"cannot use .*choose a folder you can write to"):
        Journal(tmp_path / "file" / "journal")
