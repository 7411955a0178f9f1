"""`python -m trainables.predict` on one large raster: time, memory, share of the CPU's arithmetic.

`python benchmarks/predict_raster.py [--side 20000] [--width 8] [--overlap 64] [--precision bf16]`

The raster is 8-bit RGB in compressed tiles, the network U-REC of random weights, whose arithmetic
is that of a trained one. Counted are its convolutions, by torch's counter on one window; the peak
is a convolution of 128 channels alone, again and again, in the same precision and on the same
threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from affine import Affine
from blob_trials import NUM_CLASSES
from peak_rates import lone_convolution_gflops
from rasterio.windows import Window
from timing import surroundings, surroundings_line
from torch.utils.flop_counter import FlopCounterMode

from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.evaluation.windows import SlidingWindows
from trainables.networks.build import build_network
from trainables.networks.model_file import TrainedModel

_ROOT = Path(__file__).parents[1]
_WINDOW_PX = 256


def main() -> None:
    """Predict and print."""
    options = _parse()
    print(surroundings_line(surroundings()), flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        image, model = folder / "large.tif", folder / "model.pt"
        _write_raster(image, options.side)
        gflop_per_window = _write_model(model, options.width)
        command = [sys.executable, "-m", "trainables.predict", "--model", str(model),
                   "--out", str(folder / "out"), "--device", "cpu",
                   "--precision", options.precision, "--window", str(_WINDOW_PX),
                   "--overlap", str(options.overlap), str(image)]  # fmt: skip
        start = time.perf_counter()
        ran = subprocess.run(command, capture_output=True, text=True, env=_environment())
        seconds = time.perf_counter() - start
        if ran.returncode:
            raise SystemExit(ran.stderr)
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    windows = SlidingWindows(
        height_px=options.side,
        width_px=options.side,
        window_px=_WINDOW_PX,
        step_px=_WINDOW_PX - options.overlap,
    )
    rate = gflop_per_window * windows.num_windows / seconds
    dtype = torch.bfloat16 if options.precision == "bf16" else torch.float32
    most = lone_convolution_gflops(dtype)
    print(
        f"{options.side} x {options.side} px, U-REC of width {options.width}, {options.precision}, "
        f"{windows.num_windows:,} windows that share {options.overlap} px: {seconds:.0f} s, "
        f"{options.side**2 / seconds / 1e6:.2f} Mpx/s, {peak_mib / 1024:.2f} GiB; {rate:.0f} "
        f"GFLOP/s, {rate / most:.0%} of {most:.0f}"
    )
    for line in ran.stderr.splitlines():
        if "in bf16" in line:
            print(line)


def _environment() -> dict[str, str]:
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _write_raster(path: Path, side: int) -> None:
    """Blobs some 24 pixels apart, under noise."""
    generator = np.random.default_rng(0)
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=3, dtype="uint8",
        crs="EPSG:32632", transform=Affine.translation(5e5, 5.3e6) @ Affine.scale(0.1, -0.1),
        tiled=True, compress="deflate", zlevel=1,
    ) as target:  # fmt: skip
        for top in range(0, side, 512):
            rows = min(512, side - top)
            blobs = generator.integers(40, 216, (3, rows // 24 + 1, side // 24 + 1), dtype=np.uint8)
            pixels = blobs.repeat(24, axis=1).repeat(24, axis=2)[:, :rows, :side]
            pixels = pixels + generator.integers(0, 32, pixels.shape, dtype=np.uint8)
            target.write(pixels, window=Window(0, top, side, rows))


def _write_model(path: Path, width: int) -> float:
    """A network with random weights; returns the arithmetic of a window, GFLOP."""
    network = build_network(
        "urec", 3, NUM_CLASSES, width=width, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        for _ in range(20):  # so that normalisation keeps the signals alive
            network(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    TrainedModel(
        network="urec",
        width=width,
        bands=("red", "green", "blue"),
        classes=tuple(ClassSpec(name=one, color=(0, 0, 0)) for one in "abcdef"),
        downsample=1,
        window_px=_WINDOW_PX,
        step_px=_WINDOW_PX,
        scaling=uint8_scaling(3),
        trial_key="confirm-urec-f1.00-s1",
        study="timed",
        state=network.state_dict(),
    ).save(path)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval().segment(torch.zeros(1, 3, _WINDOW_PX, _WINDOW_PX))
    return float(counter.get_total_flops()) / 1e9


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=20_000, help="of the raster, px")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--overlap", type=int, default=64, help="pixels that windows share")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--folder", help="where the raster is written (default: the system's)")
    options = parser.parse_args()
    if options.side < _WINDOW_PX:
        parser.error(f"--side must be at least {_WINDOW_PX}, got {options.side}")
    return options


if __name__ == "__main__":
    main()
