"""Splits by file name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsc.data.splits import select_names, split_names
from hsc.errors import HscError

NUMBERED = [f"{i:05d}.jpg" for i in range(1000)]
PEOPLE = [f"s{person:02d}/{photo:02d}.pgm" for person in range(1, 6) for photo in range(1, 11)]
PORTRAITS = [f"{kind}-{i:02d}.jpg" for kind in ("female", "male") for i in range(60)]


@pytest.mark.parametrize(
    ("names", "spec", "expected"),
    [
        (NUMBERED, "00010-00012", ["00010.jpg", "00011.jpg", "00012.jpg"]),
        (NUMBERED, "10-12", ["00010.jpg", "00011.jpg", "00012.jpg"]),
        (PORTRAITS, "male-58-male-70", ["male-58.jpg", "male-59.jpg"]),
        (PEOPLE, "s02/*", PEOPLE[10:20]),
        (PEOPLE, "s0[12]/01.pgm", ["s01/01.pgm", "s02/01.pgm"]),
        (PEOPLE, "s01/03", ["s01/03.pgm"]),
        (NUMBERED, "*", NUMBERED),
        (NUMBERED, "100%", NUMBERED),
        (NUMBERED, ["00001", "00990-00999", "00000.jpg"], ["00000.jpg", "00001.jpg", *NUMBERED[990:]]),
    ],
)
def test_what_specs_select(names, spec, expected):
    assert select_names(names, spec) == expected


def test_a_list_of_names_from_a_file(tmp_path):
    listing = tmp_path / "held-out.txt"
    listing.write_text("# held out\n00003\n00001.jpg  # with extension\n\n")
    assert select_names(NUMBERED, str(listing)) == ["00001.jpg", "00003.jpg"]
    listing.write_text("00003\n00001\n", encoding="utf-8-sig")  # as saved by Windows editors
    assert select_names(NUMBERED, str(listing)) == ["00001.jpg", "00003.jpg"]
    listing.write_text("00003\n99999\n")
    with pytest.raises(HscError, match="lists 99999, which is not in the data set"):
        select_names(NUMBERED, str(listing))
    with pytest.raises(HscError, match=r"cannot read the list of names .*missing\.txt"):
        select_names(NUMBERED, str(tmp_path / "missing.txt"))


@pytest.mark.parametrize("spec", ["20000-20010", "00012-00010", "x*", "nobody", "0%", []])
def test_selecting_nothing_is_an_error(spec):
    with pytest.raises(HscError, match="selects no"):
        select_names(NUMBERED, spec)


def test_more_than_everything_is_an_error():
    with pytest.raises(HscError, match="at most 100%"):
        select_names(NUMBERED, "105%")


def test_errors_name_the_split():
    with pytest.raises(HscError, match=r"validation: '9\*' selects none of the 1000 images"):
        split_names(NUMBERED, {"train": "*", "validation": "9*"})


def test_overlap_is_refused():
    with pytest.raises(HscError, match=r"train and validation share 11 images \(00490\.jpg"):
        split_names(NUMBERED, {"train": "0-500", "validation": "490-700"})


def test_shares_have_their_size_and_stay_when_images_join():
    few, many = select_names(NUMBERED[:500], "20%"), select_names(NUMBERED, "20%")
    assert 150 < len(many) < 250  # 4 standard deviations
    assert few == [name for name in many if name in NUMBERED[:500]]


def test_shares_do_not_depend_on_the_image_format():
    in_png = [name.replace(".jpg", ".png") for name in NUMBERED]
    assert [n[:5] for n in select_names(in_png, "5%")] == [n[:5] for n in select_names(NUMBERED, "5%")]


@given(st.integers(3, 97))
def test_complementary_shares_cover_everything_without_overlap(percent):
    names = NUMBERED[:300] + PEOPLE
    chosen = split_names(names, {"train": f"{100 - percent}%", "validation": f"{percent}%"})
    assert sorted(chosen["train"] + chosen["validation"]) == sorted(names)
