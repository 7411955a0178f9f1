"""Trials packed on one device against one after the other, and fp32 against bf16.

`python benchmarks/packed_trials.py [--device cuda] [--trials 4] [--steps 60] [--repeats 3]`

Every trial is a process of its own, as Ray would start it with `--gpus 0.25`, and trains U-REC on
the same random tiles by the code of a study. A process builds its network and takes some steps
first; then all that are to run together begin at once. Printed are patches per second of all
together: minimum, median and maximum over the repeats, and the ratios of the medians. The last
losses of fp32 and bf16 stand beside them: the same patches, so that they can be compared.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.training.loop import TrainingData, train

_NUM_CLASSES = 6
_WARM_UP_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Job:
    """What every process trains."""

    device: str
    precision: str
    width: int
    patch_px: int
    batch_size: int
    steps: int
    side_px: int


def training_data(side_px: int) -> TrainingData:
    """Four random tiles, all annotated, and one window to validate on."""
    generator = np.random.default_rng(0)

    def tile(name: str, side: int) -> Tile:
        image = generator.integers(0, 256, (3, side, side), dtype=np.uint8)
        mask = generator.integers(0, _NUM_CLASSES, (side, side), dtype=np.uint8)
        return Tile(name=name, image=image, mask=mask)

    tiles = pack_tiles([tile(f"t{index}", side_px) for index in range(4)])
    unit = Unit(kind="tile", size_px=0)
    _, annotated = draw_budget(tiles, fraction=1.0, seed=0, unit=unit, num_classes=_NUM_CLASSES)
    return TrainingData(
        train=tiles,
        annotated=annotated,
        val=pack_tiles([tile("val", 32)]),
        scaling=uint8_scaling(3),
        class_names=tuple("abcdef"),
        exclude_from_mean=(),
    )


def run(job: Job, seed: int, barrier: Barrier, answers: multiprocessing.Queue[float]) -> None:
    """One trial, in a process of its own; answers with its last loss."""
    torch.set_num_threads(1)
    data = training_data(job.side_px)

    def trial(steps: int) -> float:
        training = TrainingConfig(
            width=job.width,
            patch_px=job.patch_px,
            sampling="random",
            batch_size=job.batch_size,
            steps=steps,
            epochs=None,
            num_validations=1,
            precision=job.precision,  # type: ignore[arg-type]
        )
        config = TrialConfig(
            key="t", phase="search", model="urec", label_frac=1.0, seed=seed, training=training
        )
        with tempfile.TemporaryDirectory() as folder:
            result = train(
                config,
                data,
                device=torch.device(job.device),
                checkpoint=Path(folder) / "none",
                report=lambda step, rows: None,
                checkpoint_every_s=math.inf,
            )
        return result.history[-1]["train/loss"]

    trial(_WARM_UP_STEPS)
    barrier.wait()
    loss = trial(job.steps)
    barrier.wait()
    answers.put(loss)


def together(job: Job, num: int) -> tuple[float, float]:
    """Seconds that `num` trials take at once, and the last loss of the first seed."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(num + 1)
    answers = [context.Queue() for _ in range(num)]
    processes = [
        context.Process(target=run, args=(job, seed, barrier, answers[seed])) for seed in range(num)
    ]
    for process in processes:
        process.start()
    barrier.wait(600)
    start = time.perf_counter()
    barrier.wait(3600)
    taken_s = time.perf_counter() - start
    losses = [answer.get(timeout=60) for answer in answers]
    for process in processes:
        process.join()
    return taken_s, losses[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    has_cuda = torch.cuda.is_available()
    parser.add_argument("--device", default="cuda" if has_cuda else "cpu")
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--patch-px", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=14)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--side-px", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {options.trials} trials")
    job = Job(
        device=options.device,
        precision="fp32",
        width=options.width,
        patch_px=options.patch_px,
        batch_size=options.batch_size,
        steps=options.steps,
        side_px=options.side_px,
    )
    rates: dict[str, list[float]] = {}
    for _ in range(options.repeats):  # in turn, so that a slower minute meets all alike
        for precision in ("fp32", "bf16"):
            for label, num in (("one at a time", 1), (f"{options.trials} packed", options.trials)):
                taken_s, loss = together(replace(job, precision=precision), num)
                rate = num * options.steps * options.batch_size / taken_s
                rates.setdefault(f"{precision}, {label}", []).append(rate)
                print(f"  {precision}, {label}: {rate:.1f} patches/s, last loss {loss:.4f}")
    for label, found in rates.items():
        low, middle, high = min(found), statistics.median(found), max(found)
        print(f"{label}: {low:.1f} / {middle:.1f} / {high:.1f} patches per second (min/median/max)")
    medians = {label: statistics.median(found) for label, found in rates.items()}
    packed = f"{options.trials} packed"
    for precision in ("fp32", "bf16"):
        ratio = medians[f"{precision}, {packed}"] / medians[f"{precision}, one at a time"]
        print(f"{precision}: packed / one after the other = {ratio:.2f}")
    ratio = medians["bf16, one at a time"] / medians["fp32, one at a time"]
    print(f"one at a time: bf16 / fp32 = {ratio:.2f}")


if __name__ == "__main__":
    main()
