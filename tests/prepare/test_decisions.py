"""Near-duplicates, identities, splits and file names."""

from collections import Counter
from pathlib import PurePosixPath

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hsc.data.prepare.decisions import Names, SeenFaces, common_folder, identity_of, splits
from hsc.data.prepare.quality import measure, perceptual_hash
from hsc.data.prepare.settings import Settings

names = st.lists(
    st.text("abc/", min_size=1, max_size=8).map(lambda t: f"x/{t.strip('/')}.jpg"), min_size=1, max_size=20
)


def test_identity_is_the_folder_or_the_picture():
    common = common_folder(["all/s1/a.pgm", "all/s1/b.pgm", "all/s2/a.pgm"])
    assert common == PurePosixPath("all")
    assert identity_of("all/s1/b.pgm", common) == "s1"
    assert identity_of("all/deep/er/b.pgm", common) == "deep/er"
    assert identity_of("all/loose.pgm", common) == "loose"
    assert identity_of("a.b.jpg", common_folder(["a.b.jpg"])) == "a.b"


def test_shares_are_met_and_joining_moves_nobody():
    settings = Settings(64, validation="20%", test="10%")
    people = [f"person {i}" for i in range(3000)]
    before = splits(people, settings)
    shares = Counter(before.values())
    assert abs(shares["test"] / 3000 - 0.1) < 0.02
    assert abs(shares["validation"] / 3000 - 0.2 * 0.9) < 0.02
    after = splits([*people, *(f"new {i}" for i in range(500))], settings)
    assert all(after[person] == split for person, split in before.items())


def test_numbers_are_exact():
    chosen = Counter(splits(map(str, range(120)), Settings(64, validation="20", test="0")).values())
    assert chosen == {"train": 100, "validation": 20}
    assert set(splits("ab", Settings(64, validation="0", test="100%")).values()) == {"test"}


@given(names)
def test_names_are_given_once_and_have_one_point(sources: list[str]):
    sources = list(dict.fromkeys(sources))
    book = Names(common_folder(sources), "png")
    given_names = [book.give("train", source, number) for source in sources for number in (0, 1)]
    assert len(set(given_names)) == len(given_names)
    assert all(PurePosixPath(name).name.count(".") == 1 and name.startswith("train/") for name in given_names)


def test_near_duplicates_are_near():
    seen = SeenFaces(2)
    first = bytes(32)
    assert seen.twin(first) is None
    seen.add("first", first)
    assert seen.twin(bytes([0b11]) + bytes(31)) == ("first", 2)
    assert seen.twin(bytes([0b111]) + bytes(31)) is None
    for number in range(2000):
        seen.add(str(number), np.random.default_rng(number).bytes(32))
    assert seen.twin(np.random.default_rng(1999).bytes(32)) == ("1999", 0)
    assert SeenFaces(-1).twin(first) is None


def test_the_hash_sees_the_picture_not_its_file(portrait):
    one, other = portrait("female-00.jpg"), portrait("female-06.jpg")
    changed = one.resize((300, 300)).point(lambda value: int(value * 0.9))

    def distance(a, b) -> int:
        pair = (np.frombuffer(perceptual_hash(image), np.uint8) for image in (a, b))
        return int(np.bitwise_count(next(pair) ^ next(pair)).sum())

    assert distance(one, changed) <= 8
    assert distance(one, other) > 60


def test_quality_knows_blur_and_turned_heads(portrait):
    landmarks = np.zeros((68, 2))
    landmarks[36:42], landmarks[42:48], landmarks[[48, 54]], landmarks[30] = (
        (100, 100),
        (160, 100),
        (130, 170),
        (130, 135),
    )
    sharp = portrait("female-00.jpg").resize((256, 256))
    quality = measure(sharp, landmarks, 240)
    assert (quality.side, quality.turn, quality.nod) == (240, 0, 0)
    assert measure(sharp.resize((32, 32)).resize((256, 256)), landmarks, 240).sharpness < 30 < quality.sharpness
    landmarks[30] = (148, 149)
    turned = measure(sharp, landmarks, 240)
    assert (turned.turn, turned.nod) == (0.3, 0.2)
