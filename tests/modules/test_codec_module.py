"""A training step of the codec: which parts learn, which prefixes are decoded, which values are logged."""

import itertools
from collections.abc import Callable

import pytest
import torch
from random_faces import batch_of
from tiny_model import LAYERS, ROWS, SIZE, tiny_config

from hsc.losses import load_losses
from hsc.modules.batch_slice import BatchSlice
from hsc.modules.codec import CodecModule

PREFIXES = {
    "encoder": "encoder.",
    "gain": "entropy.gain.",
    "entropy": "entropy.net.",
    "heads": "decoder.heads.",
    "generator": "decoder.generator.synthesis_network.",
}


def module(**stage) -> CodecModule:
    torch.manual_seed(0)
    config = tiny_config(**stage)
    return CodecModule(config, config.stages["only"], load_losses(["l2"]))


@pytest.mark.parametrize("train", [["encoder", "gain", "entropy", "heads"], ["entropy"], [*PREFIXES]])
@pytest.mark.parametrize("prefixes", ["all", "sample"])
def test_exactly_the_trainable_parts_learn(fit: Callable, train: list[str], prefixes: str):
    codec = module(train=train, prefixes=prefixes)
    before = {name: value.clone() for name, value in codec.state_dict().items()}
    (gradients,) = fit(codec).steps
    learning = {n for n, p in codec.named_parameters() if n.startswith(tuple(PREFIXES[part] for part in train))}
    assert gradients.keys() <= learning
    assert all(value == value and value < float("inf") for value in gradients.values())
    changed = {
        n for n, value in codec.state_dict().items() if n != "batches_seen" and not torch.equal(value, before[n])
    }
    assert changed <= learning
    for part in train:
        assert any(name.startswith(PREFIXES[part]) for name in changed), part
    assert all(p.requires_grad == (name in learning) for name, p in codec.named_parameters())


def test_training_one_layer_leaves_the_others_alone(fit: Callable):
    codec = module(layers=["basic"], prefixes="all")
    (gradients,) = fit(codec).steps
    assert codec.layer_names == ["basic"]
    # The encoder heads of later layers get no gradient, because predictions replace their latents.
    assert not any(
        gradients.get(n, 0) for n in gradients if n.startswith(("encoder.net.heads.1", "encoder.net.heads.2"))
    )
    assert gradients["encoder.net.heads.0.linear.weight"] > 0


def test_every_prefix_of_every_image_or_one_each():
    quality = torch.tensor([0, 1, 0, 1, 1])
    prefixes = [[torch.full((5, rows, 8), float(j)) for rows in ROWS] for j in range(3)]
    for kind in ("all", "sample"):
        codec = module(prefixes=kind)
        decoded = codec._decoded_prefixes(prefixes, quality, torch.Generator().manual_seed(0), BatchSlice())
        chosen = {layer: index.tolist() for layer, index, *_ in decoded}
        if kind == "all":
            assert chosen == {layer: list(range(5)) for layer in LAYERS}
        else:
            assert sorted(itertools.chain(*chosen.values())) == list(range(5))
        for layer, index, portion, styles, images, _ in decoded:
            assert portion == 1
            latents = [values[index] for values in prefixes[LAYERS.index(layer)]]
            torch.testing.assert_close(styles, codec.decoder.styles(latents, quality[index]), rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(images, codec.decoder(latents, quality[index]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["all", "sample"])
def test_prefixes_that_no_loss_compares_are_not_decoded(kind: str) -> None:
    codec = module(prefixes=kind, losses={"middle": {"l2": 1.0}})
    prefixes = [[torch.zeros(4, rows, 8) for rows in ROWS] for _ in LAYERS]
    decoded = codec._decoded_prefixes(prefixes, torch.tensor([0, 1, 0, 1]), torch.Generator(), BatchSlice())
    assert [(prefix.layer, prefix.chosen.tolist(), prefix.portion) for prefix in decoded] == [
        ("middle", [0, 1, 2, 3], 1.0)
    ]


def test_objective_by_hand(fit: Callable):
    """The logged objective is rate plus distortion of the batch that was trained on."""
    codec = module(prefixes="all", log_every=1, quantise="round")
    twin = module(prefixes="all", log_every=1, quantise="round")
    fit(codec)
    logged = {name: float(value) for name, value in codec.trainer.callback_metrics.items()}
    images = batch_of(0)["image"]
    quality = torch.randint(2, (4,), generator=twin.step_generator())
    with torch.no_grad():
        coded = twin.entropy(twin.encoder(images), quality, "round")
        total = 0.0
        for j, layer in enumerate(LAYERS):
            bpp = coded.row_bits[:, : sum(ROWS[: j + 1])].sum(1) / SIZE**2
            l2 = (twin.decoder(coded.prefixes[j], quality) - images).square().mean()
            assert logged[f"train/{layer}/bpp_estimated"] == pytest.approx(float(bpp.mean()), rel=1e-4)
            assert logged[f"train/{layer}/l2"] == pytest.approx(float(l2), rel=1e-3)
            total += float((twin.lambdas[quality] * bpp).mean() + l2)
    assert logged["train/objective"] == pytest.approx(total, rel=1e-3)
    zeros = torch.cat([symbols.flatten() for symbols in coded.symbols]).eq(0).float().mean()
    assert logged["train/zero_symbols"] == pytest.approx(float(zeros), abs=1e-4)


@pytest.mark.parametrize("quantise", ["none", "round"])
@pytest.mark.parametrize("tasks", [{}, {"l2": 1.0}])
def test_distance_of_styles_by_hand(fit: Callable, quantise: str, tasks: dict, monkeypatch: pytest.MonkeyPatch):
    """Logged for every decoded prefix; images are synthesised only if a task needs them."""
    settings = {
        "quantise": quantise,
        "prefixes": "all",
        "log_every": 1,
        "train": ["encoder", "heads"],
        "styles": 0.5,
        "layer_weights": {"enhanced": 3.0},
        "losses": dict.fromkeys(LAYERS, tasks),
    }
    codec, twin = module(**settings), module(**settings)
    drawn, synthesis = [], codec.decoder.generator.synthesis
    monkeypatch.setattr(
        codec.decoder.generator, "synthesis", lambda *given, **how: drawn.append(1) or synthesis(*given, **how)
    )
    (gradients,) = fit(codec).steps
    assert gradients["encoder.net.heads.2.linear.weight"] > 0
    assert bool(drawn) == bool(tasks)
    logged = {name: float(value) for name, value in codec.trainer.callback_metrics.items()}
    images, known = batch_of(0)["image"], batch_of(0)["styles"]
    quality = torch.randint(2, (4,), generator=twin.step_generator())
    with torch.no_grad():
        latents, total = twin.encoder(images), 0.0
        prefixes = {"enhanced": latents}
        if quantise == "round":
            coded = twin.entropy(latents, quality, "round")
            prefixes = dict(zip(LAYERS, coded.prefixes, strict=True))
            total = float(twin.objective.rate(coded.row_bits, ROWS, twin.lambdas[quality], SIZE**2).total)
        for layer, prefix in prefixes.items():
            distance = (twin.decoder.styles(prefix, quality) - known).square().sum(2).mean()
            assert logged[f"train/{layer}/styles"] == pytest.approx(float(distance), rel=1e-3)
            l2 = (twin.decoder(prefix, quality) - images).square().mean() if tasks else 0.0
            total += (3 if layer == "enhanced" else 1) * float(0.5 * distance + l2)
    assert logged["train/objective"] == pytest.approx(total, rel=1e-3)


def test_rounding_begins_after_its_share_of_the_steps(fit: Callable):
    codec = module(steps=4, round_after=0.5)
    used, forward = [], codec.entropy.forward
    codec.entropy.forward = lambda *a: used.append(a[2]) or forward(*a)
    fit(codec, batches=4)
    assert used == ["noise", "noise", "round", "round"]
    assert int(codec.batches_seen) == 4
    assert codec.samples_seen == 16


def test_inversion_trains_without_the_entropy_model(fit: Callable):
    codec = module(quantise="none", train=["encoder", "heads"])
    (gradients,) = fit(codec).steps
    assert {n.split(".")[0] for n in gradients} == {"encoder", "decoder"}
    output = codec.eval().validation_step({"image": torch.zeros(2, 3, 48, 48), "name": ["a", "b"]}, 0)
    assert list(output.layers) == ["enhanced"]
    assert output.layers["enhanced"].images.shape == (2, 3, 48, 48)
    assert output.layers["enhanced"].file_bytes.isnan().all()


@pytest.mark.usefixtures("in_float32")
def test_validation_weighs_real_files():
    codec = module().eval()
    images = torch.rand(2, 3, 48, 48) * 2 - 1
    codec.on_validation_epoch_start()
    output = codec.validation_step({"image": images, "name": ["a", "b"]}, 0)
    (released,) = codec._released
    assert not any(name.startswith("_released") for name in codec.state_dict())
    codec.on_validation_epoch_end()
    assert not codec._released
    assert list(output.layers) == list(LAYERS)
    for count, layer in enumerate(output.layers.values(), 1):
        files = released.compress(images, layers=count)
        assert layer.file_bytes.tolist() == [len(data) for data in files]
        assert (layer.bits_estimated > 0).all()
        shown = torch.stack(released.decompress(files))
        torch.testing.assert_close(layer.images.clamp(-1, 1), shown, rtol=1e-4, atol=1e-4)
    assert output.row_bits.shape == (2, sum(ROWS))
