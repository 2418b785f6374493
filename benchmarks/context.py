"""Gain from the entropy model's context: the same latents coded with and without it.

    python benchmarks/context.py [--steps 2000] [--model NAME] [--data A.zip[,B.zip]] [--train 00000-03999]

The latents of training and validation faces are computed with a trained codec's encoder and gains. Entropy models are
trained on the former, from the same start for the same number of steps; the bits they spend on the latter, rounded, are
printed. Distortion is the same for all: the rounding step does not depend on the entropy model.
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor

import hsc
from hsc.codec import Codec
from hsc.data.module import FaceDataModule
from hsc.modules.entropy import EntropyModule
from hsc.nets.entropy import LOG_SCALE_RANGE

BATCH, FACES_AT_ONCE, LEARNING_RATE = 64, 100, 2e-3


FACTORISED, LAYERS_BEFORE = "none: factorised", "layers before"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--model", default="")
    parser.add_argument("--data", default="ffhq128.zip")
    parser.add_argument("--train", default="00000-03999")
    given = parser.parse_args()
    codec = hsc.load(given.model)
    data = FaceDataModule(given.data.split(","), codec.size, train=given.train, validation="04000-04499")
    train, validation = (latents_of(codec, data, split) for split in ("train", "validation"))
    print("| context | bytes of " + " | ".join(codec.layers) + " | all | middle and later, of the factorised |")
    print("| --- |" + " --- |" * (len(codec.layers) + 2))
    factorised = 0.0
    for name in (FACTORISED, LAYERS_BEFORE):
        spent = spent_by(trained(codec, name, train, given.steps), validation) / 8
        later = float(spent[1:].sum())
        factorised = factorised or later
        print(
            f"| {name} | "
            + " | ".join(f"{layer:.1f}" for layer in spent)
            + f" | {spent.sum():.1f} | {100 * later / factorised:.1f} % |",
            flush=True,
        )


@torch.inference_mode()
def latents_of(codec: Codec, data: FaceDataModule, split: str) -> list[Tensor]:
    """[N, rows, dim] for each layer; for training faces, mirror images are included."""
    faces = data.dataset(split)
    found = []
    for start in range(0, len(faces), FACES_AT_ONCE):
        images = faces[list(range(start, min(start + FACES_AT_ONCE, len(faces))))]["image"]
        both = [images, images.flip(-1)] if split == "train" else [images]
        found += [codec.analyse(part) for part in both]
    return [torch.cat(layer) for layer in zip(*found, strict=True)]


def trained(codec: Codec, name: str, latents: Sequence[Tensor], steps: int) -> EntropyModule:
    """An entropy model initialised with the spread of each latent and trained with uniform rounding noise."""
    torch.manual_seed(0)
    entropy = EntropyModule(codec.model)
    if name == FACTORISED:  # no context: every layer is coded as if it were the first
        entropy.net.observe = lambda memory, *_: memory
    entropy.gain.load_state_dict(codec.networks.gain.state_dict())
    entropy.gain.requires_grad_(False)
    start_with_spread(entropy, latents)
    optimiser = torch.optim.Adam(entropy.net.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(len(latents[0]), (BATCH,), generator=random)
        quality = torch.randint(codec.num_qualities, (BATCH,), generator=random)
        coded = entropy([layer[chosen] for layer in latents], quality, "noise", random)
        optimiser.zero_grad()
        (coded.row_bits.sum(1).mean() / 1000).backward()
        torch.nn.utils.clip_grad_norm_(entropy.net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return entropy.eval()


@torch.no_grad()
def start_with_spread(entropy: EntropyModule, latents: Sequence[Tensor]) -> None:
    """Means and standard deviations of the latents at the middle quality."""
    middle = torch.full((1,), entropy.net.quality_embedding.num_embeddings // 2)
    for layer, (values, rows) in enumerate(zip(latents, entropy.net.layer_rows, strict=True)):
        scaled = values * entropy.gain.rows(middle, rows)
        entropy.net.mean_bias[layer].copy_(scaled.mean(0))
        entropy.net.scale_bias[layer].copy_(scaled.std(0).log().clamp(*LOG_SCALE_RANGE))


@torch.inference_mode()
def spent_by(entropy: EntropyModule, latents: Sequence[Tensor]) -> Tensor:
    """[layers] mean bits per face, over faces and qualities."""
    qualities = entropy.net.quality_embedding.num_embeddings
    bits = torch.stack(
        [
            entropy(list(latents), torch.full((len(latents[0]),), quality), "round").row_bits.double().mean(0)
            for quality in range(qualities)
        ]
    ).mean(0)
    return torch.stack([layer.sum() for layer in bits.split([layer.shape[1] for layer in latents])])


if __name__ == "__main__":
    main()
