"""A tiny MobileStyleGAN as in its author's code: state dicts, the export to OpenVINO, and the images it generates."""

import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import torch
import torch.nn.functional as F
from torch import Tensor

W_DIM, WIDTH, LAYERS = 8, 4, 7
CONVOLUTIONS = ["conv1", *[f"layers.{k}.conv{j}" for k in range(LAYERS) for j in (1, 2)]]
IMAGE = "layers.6.to_img"


def random_student(seed: int = 0) -> dict[str, Tensor]:
    """The tensors of `student`, including those that the finished generator does not need."""
    random = torch.Generator().manual_seed(seed)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    student = {
        "input.input": numbers(1, WIDTH, 4, 4),
        "device_info": torch.zeros(1),
        "idwt.g0_col": numbers(1, 1, 2, 1),
    }
    for key in CONVOLUTIONS:
        inputs = WIDTH // 4 if key.endswith(".conv1") else WIDTH
        if key == "conv1":
            student[f"{key}.conv.weight"] = numbers(WIDTH, inputs, 3, 3)
        else:
            student[f"{key}.conv.weight_dw"] = numbers(inputs, 1, 3, 3)
            student[f"{key}.conv.weight_permute"] = numbers(WIDTH, inputs, 1, 1)
        student[f"{key}.conv.style_inv"] = numbers(1, 1, inputs, 1, 1)
        student |= _modulation(f"{key}.conv", inputs, numbers)
        student[f"{key}.noise.weight"] = numbers(1)
        student[f"{key}.bias"] = numbers(1, WIDTH, 1, 1)
    for k in range(LAYERS):
        student |= _modulation(f"layers.{k}.up", WIDTH, numbers)
    for key in ["to_img1", *[f"layers.{k}.to_img" for k in range(LAYERS)]]:
        student |= _modulation(f"{key}.conv", WIDTH, numbers)
        student[f"{key}.conv.weight"] = numbers(12, WIDTH, 1, 1)
        student[f"{key}.bias"] = numbers(1, 12, 1, 1)
    return student


def _modulation(key: str, outputs: int, numbers) -> dict[str, Tensor]:
    weight, bias = numbers(outputs, W_DIM) / W_DIM**0.5, 3 + numbers(outputs)
    return {f"{key}.modulation.weight": weight, f"{key}.modulation.bias": bias}


def random_mapping(layers: int = 2) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        f"layers.{i + 1}.{part}": torch.randn(*shape, generator=random) / 0.01
        for i in range(layers)
        for part, shape in (("weight", (W_DIM, W_DIM)), ("bias", (W_DIM,)))
    }


def random_noise() -> dict[str, Tensor]:
    """The noise added after each convolution."""
    random = torch.Generator().manual_seed(2)
    sides = [4 * 2 ** ((k + 1) // 2) for k in range(len(CONVOLUTIONS))]
    return {key: torch.randn(1, 1, s, s, generator=random) for key, s in zip(CONVOLUTIONS, sides, strict=True)}


def draw_w(mapping: dict[str, Tensor], z: Tensor) -> Tensor:
    """z → w as `mapping_net` computes it."""
    x = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    for i in range(len(mapping) // 2):
        weight, bias = mapping[f"layers.{i + 1}.weight"], mapping[f"layers.{i + 1}.bias"]
        x = F.leaky_relu(x @ weight.T * (0.01 / W_DIM**0.5) + bias * 0.01, 0.2) * 2**0.5
    return x


def draw(student: dict[str, Tensor], noise: dict[str, Tensor], ws: Tensor) -> Tensor:
    """W+ [N, 16, W_DIM] → images as `student` computes them, with given noise."""

    def style(key: str, w: Tensor) -> Tensor:
        return (w @ student[f"{key}.modulation.weight"].T + student[f"{key}.modulation.bias"])[:, :, None, None]

    def conv(key: str, x: Tensor, w: Tensor) -> Tensor:
        scale = 1 / math.sqrt(x.shape[1] * 9)
        kernel = student[f"{key}.conv.weight"] if key == "conv1" else whole(key)
        x = F.conv2d(x * style(f"{key}.conv", w) * scale, kernel, padding=1)
        x = x * demodulation(student, key)[None, :, None, None]
        return F.leaky_relu(x + noise[key] + student[f"{key}.bias"], 0.2)

    def whole(key: str) -> Tensor:
        return student[f"{key}.conv.weight_dw"].transpose(0, 1) * student[f"{key}.conv.weight_permute"]

    x = conv("conv1", student["input.input"].expand(len(ws), -1, -1, -1), ws[:, 0])
    for k in range(LAYERS):
        x = haar(x * style(f"layers.{k}.up", ws[:, 1 + 2 * k]))
        x = conv(f"layers.{k}.conv2", conv(f"layers.{k}.conv1", x, ws[:, 1 + 2 * k]), ws[:, 2 + 2 * k])
    x = x * style(f"{IMAGE}.conv", ws[:, 15]) / math.sqrt(WIDTH)
    return haar(F.conv2d(x, student[f"{IMAGE}.conv.weight"]) + student[f"{IMAGE}.bias"])


def haar(x: Tensor) -> Tensor:
    """[N, C + 3·C, H, W]: averages, then each channel's three differences → [N, C, 2H, 2W]."""
    channels = x.shape[1] // 4
    low, (lh, hl, hh) = x[:, :channels], x[:, channels:].unflatten(1, (channels, 3)).unbind(2)
    out = x.new_zeros(len(x), channels, 2 * x.shape[2], 2 * x.shape[3])
    for row, sign in enumerate((1, -1)):
        for column, other in enumerate((1, -1)):
            out[:, :, row::2, column::2] = (low + sign * lh + other * (hl + sign * hh)) / 2
    return out


def demodulation(student: dict[str, Tensor], key: str) -> Tensor:
    kernel = student.get(f"{key}.conv.weight")
    if kernel is None:
        kernel = student[f"{key}.conv.weight_dw"].transpose(0, 1) * student[f"{key}.conv.weight_permute"]
    scale = 1 / math.sqrt(kernel.shape[1] * 9)
    return ((scale * student[f"{key}.conv.style_inv"][0] * kernel).square().sum((1, 2, 3)) + 1e-8).rsqrt()


class Graph:
    """Builds a network in OpenVINO's format."""

    def __init__(self, name: str) -> None:
        self.root = ElementTree.Element("net", name=name, version="10")
        self.layers, self.edges = (ElementTree.SubElement(self.root, part) for part in ("layers", "edges"))
        self.content = b""

    def layer(self, kind: str, *inputs: str, label: str = "", **data: str) -> str:
        number = str(len(self.layers))
        layer = ElementTree.SubElement(self.layers, "layer", id=number, name=label or f"{kind}_{number}", type=kind)
        ElementTree.SubElement(layer, "data", data)
        for port, start in enumerate(inputs):
            edge = {"from-layer": start, "from-port": "0", "to-layer": number, "to-port": str(port)}
            ElementTree.SubElement(self.edges, "edge", edge)
        return number

    def constant(self, values: Tensor, label: str = "") -> str:
        raw = values.detach().numpy().astype("<f4" if values.is_floating_point() else "<i8").tobytes()
        kind, offset = "f32" if values.is_floating_point() else "i64", len(self.content)
        self.content += raw
        shape = ", ".join(map(str, values.shape))
        about = {"element_type": kind, "shape": shape, "offset": str(offset), "size": str(len(raw))}
        return self.layer("Const", label=label, **about)

    def files(self) -> tuple[bytes, bytes]:
        return b'<?xml version="1.0" ?>\n' + ElementTree.tostring(self.root), self.content


def exported_mapping(mapping: dict[str, Tensor]) -> Graph:
    graph = Graph("MappingNetwork")
    x = graph.layer("Multiply", graph.layer("Parameter"), graph.constant(torch.ones(1, 1)))
    for i in range(len(mapping) // 2):
        weight = graph.constant(mapping[f"layers.{i + 1}.weight"] * (0.01 / W_DIM**0.5))
        bias = graph.layer("Reshape", graph.constant(mapping[f"layers.{i + 1}.bias"] * 0.01))
        x = graph.layer("Add", graph.layer("MatMul", x, weight), bias)
        x = graph.layer("PReLU", x, graph.constant(torch.tensor([0.2])))
        x = graph.layer("Multiply", x, graph.constant(torch.full((1, 1), 2**0.5)))
    graph.layer("Result", x)
    return graph


def exported_synthesis(student: dict[str, Tensor], noise: dict[str, Tensor]) -> Graph:
    graph = Graph("SynthesisNetwork")
    w = graph.layer("Parameter")
    half = 0.5**0.5

    def style(key: str, scale: float) -> str:
        weight, bias = student[f"{key}.modulation.weight"], student[f"{key}.modulation.bias"][None]
        x = graph.layer("MatMul", w, graph.constant(weight, f"m.{key}.modulation.weight"))
        x = graph.layer("Add", x, graph.constant(bias, f"m.{key}.modulation.bias"))
        x = graph.layer("Reshape", x, graph.constant(torch.ones(4, dtype=torch.long)))
        return x if scale == 1 else graph.layer("Multiply", x, graph.constant(torch.full((1, 1, 1, 1), scale)))

    def conv(key: str, x: str) -> str:
        inputs = student[f"{key}.conv.modulation.weight"].shape[0]
        x = graph.layer("Multiply", style(f"{key}.conv", 1 / math.sqrt(9 * inputs)), x)
        kernel = student[f"{key}.conv.weight" if key == "conv1" else f"{key}.conv.weight_permute"]
        if key != "conv1":
            depthwise = student[f"{key}.conv.weight_dw"][:, None]
            x = graph.layer("GroupConvolution", x, graph.constant(depthwise, f"m.{key}.conv.weight_dw"))
        x = graph.layer("Convolution", x, graph.constant(kernel * demodulation(student, key)[:, None, None, None]))
        x = graph.layer("Add", x, graph.constant(noise[key]))
        x = graph.layer("Add", x, graph.constant(student[f"{key}.bias"], f"m.{key}.bias"))
        return graph.layer("PReLU", x, graph.constant(torch.tensor([0.2])))

    def doubled(x: str, channels: int) -> str:
        bands = [graph.layer("VariadicSplit", x) for _ in range(4)]
        up = []
        for signs, band in zip(((1, 1), (1, -1)) * 2, bands, strict=True):
            filters = (torch.tensor(signs) * half).reshape(1, 1, 1, 2, 1).expand(channels, -1, -1, -1, -1)
            up.append(graph.layer("GroupConvolutionBackpropData", band, graph.constant(filters)))
        return graph.layer("Add", *up[:2])

    x = graph.layer("Tile", graph.layer("Broadcast", graph.constant(student["input.input"], "m.input.input")))
    x = conv("conv1", x)
    for k in range(LAYERS):
        x = doubled(graph.layer("Multiply", style(f"layers.{k}.up", 1), x), WIDTH // 4)
        x = conv(f"layers.{k}.conv2", conv(f"layers.{k}.conv1", x))
    x = graph.layer("Multiply", style(f"{IMAGE}.conv", 1 / math.sqrt(WIDTH)), x)
    x = graph.layer("Convolution", x, graph.constant(student[f"{IMAGE}.conv.weight"], f"m.{IMAGE}.conv.weight"))
    x = graph.layer("Add", x, graph.constant(student[f"{IMAGE}.bias"], f"m.{IMAGE}.bias"))
    graph.layer("Result", doubled(x, 3))
    return graph


def write_package(path: Path, mapping: tuple[bytes, bytes], synthesis: tuple[bytes, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, files in (("MappingNetwork", mapping), ("SynthesisNetwork", synthesis)):
            for ending, content in zip((".xml", ".bin"), files, strict=True):
                archive.writestr(f"random_face/data/{name}{ending}", content)
    return path
