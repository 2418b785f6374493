"""The interface of every generator, used by codec, prior stage, sampling and export."""

import torch
from torch import Tensor, nn

from hsc.images import pictures_at_once
from hsc.nets.layers import FullyConnected


class Generator(nn.Module):
    """mapping: z [N, z_dim] → W+ [N, num_rows, w_dim];  synthesis: W+ → images [N, 3, size, size].

    `hsc.nets.stylegan2.StyleGAN2` and `hsc.nets.mobile_stylegan.MobileStyleGAN` implement it.
    """

    def __init__(self, mapping: "Mapping", synthesis: nn.Module, size: int, num_rows: int) -> None:
        super().__init__()
        self.mapping_network = mapping
        self.synthesis_network = synthesis
        self.size, self.num_rows = size, num_rows
        self.full_size = 0
        self.z_dim, self.w_dim = mapping.z_dim, mapping.w_dim

    @property
    def mean_w(self) -> Tensor:
        """Running mean of mapping's outputs, [w_dim]."""
        return self.mapping_network.w_avg

    def mapping(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        """z [N, z_dim] → [N, rows, w_dim], one style in every row, moved towards the mean by `truncation` in [0, 1].

        Raises ValueError if there is no mapping network, as in codecs.
        """
        if not self.mapping_network.num_layers:
            raise ValueError("this generator has no mapping network; it draws from W+ alone")
        w = self.mapping_network(z)
        if truncation != 1.0:
            w = self.mean_w.lerp(w, truncation)
        return w.unsqueeze(1).expand(-1, self.num_rows, -1)

    def synthesis(self, ws: Tensor, full: bool = False) -> Tensor:
        """W+ [N, rows, w_dim] → images [N, 3, size, size]; with `full`, images of the generator's larger size
        (`full_size`, 0 if it has none).
        """
        raise NotImplementedError

    def forward(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        return self.synthesis(self.mapping(z, truncation))


class Mapping(nn.Module):
    """z → w: normalises the input to unit second moment, then fully connected layers at 1/100 of the learning rate."""

    def __init__(self, z_dim: int, w_dim: int, num_layers: int) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.num_layers = z_dim, w_dim, num_layers
        for i in range(num_layers):
            self.add_module(f"fc{i}", FullyConnected(z_dim if i == 0 else w_dim, w_dim, "lrelu", learning_rate=0.01))
        self.register_buffer("w_avg", torch.zeros(w_dim))
        self.w_avg: Tensor

    def forward(self, z: Tensor) -> Tensor:
        with torch.autocast(z.device.type, enabled=False):
            x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
            for i in range(self.num_layers):
                x = getattr(self, f"fc{i}")(x)
        return x


def images_at_a_time(size: int) -> int:
    """Images of this size that a generator makes at a time in a few hundred megabytes: 16 up to 256², 1 at 1024²."""
    return min(16, pictures_at_once(size))


def precisions(network: nn.Module) -> tuple[torch.dtype, torch.dtype]:
    """Data types of styles and images (the network's own), and of features and kernels (autocast's, if it is on)."""
    weight = next(network.parameters())
    kind = weight.device.type
    return weight.dtype, torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
