"""From finished stages to files people use: a prior (generator, encoder, heads) and a codec."""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from hsc import codec_file
from hsc.checkpoints import load_generator, save_generator, weights_file
from hsc.checkpoints.face_model import FACTOR, MEAN, PRIOR
from hsc.checkpoints.storage import as_stored, to_store
from hsc.codec import Codec
from hsc.config import Config, StageConfig, task_names
from hsc.data.module import FaceDataModule
from hsc.losses import load_losses, unavailable_losses
from hsc.modules.codec import CodecModule
from hsc.modules.prior import reconstructs
from hsc.training.weights import load_start, outside_start

FACES_WEIGHED = 100
BATCH = 64
PRIOR_PARTS = ("encoder.", "decoder.heads.", "decoder.generator.")


def write_prior(path: Path, config: Config, stage: StageConfig, weights: Path, data: FaceDataModule) -> None:
    """The generator with the encoder and heads that invert it: where codecs are trained from.

    Beside them the mean and the Cholesky factor of the training faces' latents, from which faces can be drawn. A prior
    that was trained without reconstruction is its generator alone.
    """
    card = {"title": config.title, "judges": judges_that_trained(config)}
    if stage.module == "image_head" or (stage.module == "prior" and not reconstructs(config, stage)):
        save_generator(path, load_generator(weights), card)
        return
    held = weights_file.load(weights).tensors
    tensors = {name: value for name, value in held.items() if name.startswith(PRIOR_PARTS)}
    module = CodecModule(config, stage, {})
    load_start(module, weights)
    mean, factor = latent_gaussian(module.encoder.net.eval(), data)
    tensors |= {MEAN: mean, FACTOR: factor}
    weights_file.save(path, to_store(tensors), PRIOR, asdict(config.model), card)


@torch.inference_mode()
def latent_gaussian(encoder: nn.Module, data: FaceDataModule) -> tuple[Tensor, Tensor]:
    """Mean [d] and lower Cholesky factor [d, d] of all layers' latents over the training faces, float64."""
    faces = data.dataset("train")
    batches = (
        faces[list(range(start, min(start + BATCH, len(faces))))]["image"] for start in range(0, len(faces), BATCH)
    )
    flat = torch.cat([torch.cat([layer.flatten(1) for layer in encoder(images)], 1) for images in batches]).double()
    covariance = torch.cov(flat.t())
    # Fewer faces than numbers leave directions without variance, which have no factor.
    ridge = 1e-4 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    return flat.mean(0), torch.linalg.cholesky(covariance + ridge)


def write_codec(path: Path, config: Config, stage: StageConfig, weights: Path, data: FaceDataModule) -> Codec:
    """Export a stage's networks as a codec file, whose card holds the mean bytes of a face at each quality."""
    module = CodecModule(config, stage, {})
    load_start(module, weights)
    module = as_stored(module).eval()  # so that the model id and the bytes weighed here are the file's own
    codec = Codec.export(config.model, module.networks(), module.entropy.net, config.name)
    faces = data.dataset("validation")
    images: Tensor = faces[list(range(min(FACES_WEIGHED, len(faces))))]["image"]
    weighed = [sum(map(len, codec.compress(images, quality))) / len(images) for quality in range(codec.num_qualities)]
    card = {
        "title": config.title,
        "bytes_per_face": [round(size, 1) for size in weighed],
        "data": stage.data.path,
        "validation": stage.data.validation,
        "judges": judges_that_trained(config),
    }
    codec_file.save(path, codec, module.entropy.net, card)
    return codec


def judges_that_trained(config: Config) -> list[str]:
    """Judges of the run's losses, and of the weights it started from: what they report about it is marked."""
    stages = [config.stages[name] for name in config.run]
    tasks = task_names(config, config.run)
    judges = {loss.judge for loss in load_losses(tasks - unavailable_losses(tasks).keys()).values() if loss.judge}
    for stage in stages:
        if (start := outside_start(stage)) is not None and weights_file.is_safetensors(start):
            judges.update(weights_file.load(start).card.get("judges", []))
    return sorted(judges)
