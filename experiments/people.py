"""Verification and identification of people from decoded faces, per layer, beside an ordinary codec at equal bytes.

    python experiments/people.py MODEL FACES.zip --quality 1 --people 10 --pictures 5 --anchor vvc

FACES holds several pictures of each person, in a folder of their own, as `hsc data prepare` leaves them. Every decoded
face is compared with the originals of all *other* pictures, by a recogniser that trained nothing here (dlib).
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

import hsc
from hsc.data.faces import open_faces
from hsc.evaluation.anchors import load_anchor
from hsc.evaluation.measuring import batches_of, load
from hsc.evaluation.subjects import LayeredSubject, SizedAnchorSubject, Subject, anchor_pool, as_eight_bit
from hsc.images import resize
from hsc.judges import load_judge
from hsc.metrics.identity import distances, verification_scores

FALSE_ACCEPTS = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("faces")
    parser.add_argument("--quality", type=int, default=1)
    parser.add_argument("--people", type=int)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--anchor", default="")
    arguments = parser.parse_args()
    faces = open_faces(arguments.faces)
    names, labels = chosen(faces.names, arguments.people, arguments.pictures)
    images = torch.cat([load(faces, batch.names) for batch in batches_of(names)])
    judge = load_judge("dlib")
    originals = judge(images)
    print(f"{len(names)} pictures of {len(set(labels.tolist()))} people; {judge.name}, threshold {judge.threshold}")
    print("| | bytes | bpp | verification AUC | accuracy | accepted at 1 % false | identified |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print(row("originals", None, images, originals, originals, labels))
    with TemporaryDirectory() as folder, anchor_pool() as pool:
        codec = LayeredSubject(hsc.load(arguments.model), Path(folder), [arguments.quality], images[:1])
        sizes = []
        for layer, (decoded, size) in measured(codec, names, images, arguments.quality).items():
            print(row(f"up to {layer}", size, images, judge(decoded), originals, labels), flush=True)
            sizes.append(round(size))
        for size in reversed(sizes) if arguments.anchor else ():
            anchor = SizedAnchorSubject(load_anchor(arguments.anchor), pool, [size])
            ((decoded, spent),) = measured(anchor, names, images, size).values()
            name = f"{arguments.anchor}, at most {size}"
            print(row(name, spent, images, judge(decoded), originals, labels), flush=True)


def chosen(names: Sequence[str], people: int | None, pictures: int | None) -> tuple[list[str], Tensor]:
    """The first `pictures` of the first `people` who have two or more, and whose each is."""
    albums = defaultdict(list)
    for name in names:
        albums[PurePosixPath(name).parent].append(name)
    several = [album[:pictures] for album in albums.values() if len(album) > 1][:people]
    labels = [number for number, album in enumerate(several) for _ in album]
    return [name for album in several for name in album], torch.tensor(labels)


def measured(subject: Subject, names: list[str], images: Tensor, point: int) -> dict[str, tuple[Tensor, float]]:
    """layer → decoded images at the originals' size, and the mean bytes of their files."""
    decoded, sizes = defaultdict(list), defaultdict(list)
    for batch in batches_of(names):
        for coded in subject.code(batch.names, images[batch.places], point):
            decoded[coded.layer].append(as_eight_bit(resize(coded.images, images.shape[-1])))
            sizes[coded.layer] += coded.file_bytes
    return {layer: (torch.cat(decoded[layer]), sum(sizes[layer]) / len(sizes[layer])) for layer in decoded}


def row(name: str, size: float | None, images: Tensor, probes: Tensor, originals: Tensor, labels: Tensor) -> str:
    scores = verification_scores(probes, originals, labels, load_judge("dlib").threshold, FALSE_ACCEPTS)
    others = distances(probes, originals).fill_diagonal_(torch.inf)
    identified = (labels[others.argmin(1)] == labels).double().mean().item()
    rate = ("", "") if size is None else (f"{size:.1f}", f"{8 * size / images[0, 0].numel():.4f}")
    cells = [name, *rate, f"{scores.auc:.4f}", f"{scores.accuracy:.1%}", f"{scores.tar:.1%}", f"{identified:.1%}"]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    with torch.no_grad():
        main()
