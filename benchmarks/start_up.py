"""Time of `hsc encode` for one picture, and the gain from memory that glibc keeps, as ratios of processor time.

    python benchmarks/start_up.py [--repeats 5] [--size 512]

Each turn runs, one after the other: `import torch`, the same plus loading the released codec, `hsc encode` of
one face (cold: in a new process), and convolutions on pictures of `size` pixels with HSC_MALLOPT unset and 0.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

CONVOLUTIONS = """
import sys, torch
from hsc.cli.memory import keep_freed_memory
keep_freed_memory()
size = int(sys.argv[1])
convolution = torch.nn.Conv2d(16, 16, 3, padding=1)
with torch.inference_mode():
    for _ in range(12):
        torch.nn.functional.leaky_relu(convolution(torch.randn(4, 16, size, size)), 0.2)
"""


def seconds(*command: str, **environment: str) -> float:
    """Processor time of a command, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, env=os.environ | environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--size", type=int, default=512)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        face = Path(folder) / "face.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(face)
        encode = f"from hsc.cli import main; main(['encode', {str(face)!r}, '--force'])"
        commands = {
            "import torch": lambda: seconds("-c", "import torch"),
            "import torch, load the codec": lambda: seconds("-c", "import torch, hsc; hsc.load()"),
            "hsc encode": lambda: seconds("-c", encode),
            "convolutions, HSC_MALLOPT=0": lambda: seconds("-c", CONVOLUTIONS, str(given.size), HSC_MALLOPT="0"),
            "convolutions": lambda: seconds("-c", CONVOLUTIONS, str(given.size)),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(given.repeats):
            for name, run in commands.items():
                times[name].append(run())
    for name, measured in times.items():
        print(f"{name}: {statistics.median(measured):.2f} s")
    for name, over in (
        ("hsc encode", "import torch, load the codec"),
        ("hsc encode", "import torch"),
        ("convolutions", "convolutions, HSC_MALLOPT=0"),
    ):
        ratio = statistics.median(a / b for a, b in zip(times[name], times[over], strict=True))
        print(f"{name} / {over}: {ratio:.2f}")


if __name__ == "__main__":
    main()
