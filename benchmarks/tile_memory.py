"""Memory that two concurrent trials have for themselves while the tile set grows.

`python benchmarks/tile_memory.py [--sizes-mib 64 1024] [--steps 40] [--kind block]`

Each size: tiles and a budget go into Ray's object store as in a study, and two actors train at
once on them. Printed is the largest unique set size (USS, pages that no other process maps) of
each actor. The growth of USS over the growth of the tile set is what a trial copies of it.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import ray

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, TileSet, pack_tiles
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.trial.task import TaskData, TaskResources, TrialTask

_SIDE_PX = 2048
_NUM_CLASSES = 3
_BYTES_PER_PX = 4  # three bands and a mask


def uss_mib() -> float:
    """Pages of this process that no other maps, MiB (Linux)."""
    held = Path("/proc/self/smaps_rollup").read_text().splitlines()
    kib = [int(line.split()[1]) for line in held if line.startswith("Private_")]
    return sum(kib) / 2**10


@ray.remote(num_cpus=1)
class Trial:
    """Trains on what it is given, and watches its own memory meanwhile."""

    def run(self, task: TrialTask) -> float:
        """Largest USS while the trial runs, MiB."""
        from trainables.trial import run as trial

        trial.tune.report = lambda row: None  # no Tune around it
        peak, done = [0.0], threading.Event()

        def watch() -> None:
            while not done.is_set():
                peak[0] = max(peak[0], uss_mib())
                time.sleep(0.05)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            trial.run_trial({trial.TASK: task})
        finally:
            done.set()
            watcher.join()
        return peak[0]


def make_tiles(size_mib: float, side_px: int = _SIDE_PX) -> TileSet:
    """Square tiles of this size in all, noise over a coarse pattern of classes."""
    num = max(1, round(size_mib * 2**20 / _BYTES_PER_PX / side_px**2))
    rng = np.random.default_rng(0)
    tiles = []
    for index in range(num):
        coarse = rng.integers(0, _NUM_CLASSES, (16, 16), dtype=np.uint8)
        mask = np.kron(coarse, np.ones((side_px // 16,) * 2, dtype=np.uint8))
        image = rng.integers(0, 256, (3, side_px, side_px), dtype=np.uint8)
        tiles.append(Tile(name=f"t{index}", image=image, mask=mask))
    return pack_tiles(tiles)


def measure(size_mib: float, steps: int, unit: Unit) -> tuple[float, list[float]]:
    """Size of the tile set, and the largest USS of two trials at once, MiB."""
    train = make_tiles(size_mib)
    small = make_tiles(0.25, 256)
    real_mib = (train.images.nbytes + train.masks.nbytes) / 2**20
    budget, pixels = draw_budget(train, fraction=0.1, seed=0, unit=unit, num_classes=_NUM_CLASSES)
    training = TrainingConfig(
        width=4, patch_px=64, sampling="random", batch_size=8, steps=steps, epochs=None,
        num_validations=2,
    )  # fmt: skip
    shared = {"train": ray.put(train), "val": ray.put(small)}
    drawn = ray.put(budget.to_plain()), ray.put(pixels)
    del train, pixels
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        actors = [Trial.remote() for _ in range(2)]
        for index, actor in enumerate(actors):
            config = TrialConfig(
                key=f"t{index}", phase="search", model="urec", label_frac=0.1, seed=0,
                training=training,
            )  # fmt: skip
            task = TrialTask(
                trial=config,
                study="memory",
                data=TaskData(
                    bands=("red", "green", "blue"),
                    nodata=(),
                    classes=tuple(
                        ClassSpec(name=str(k), color=(k, k, k)) for k in range(_NUM_CLASSES)
                    ),
                    exclude_from_mean=(),
                    scaling=uint8_scaling(3),
                ),
                tiles=shared,
                budget=drawn[0],
                annotated=drawn[1],
                folder=Path(folder) / str(index),
                store=None,
                resources=TaskResources(workers=(0, 0), cpus=1, gpus=0),
                checkpoint_every_s=20.0,
            )
            runs.append(actor.run.remote(task))
        peaks = ray.get(runs)
    for actor in actors:
        ray.kill(actor)
    return real_mib, peaks


def main() -> None:
    """Measure every size and print the growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes-mib", type=float, nargs="+", default=[64, 1024])
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--kind", default="block", choices=["block", "tile", "point"])
    options = parser.parse_args()
    unit = Unit(kind=options.kind, size_px={"block": 64, "tile": 0, "point": 3}[options.kind])
    store = int(2 * max(options.sizes_mib) + 512) * 2**20
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=store)
    found = []
    for size_mib in options.sizes_mib:
        real_mib, peaks = measure(size_mib, options.steps, unit)
        found.append((real_mib, max(peaks)))
        print(f"tiles {real_mib:7.0f} MiB   USS {', '.join(f'{peak:.0f}' for peak in peaks)} MiB")
    (first, low), (last, high) = found[0], found[-1]
    if last > first:
        print(f"growth of USS / growth of tiles: {(high - low) / (last - first):+.4f}")
    ray.shutdown()


if __name__ == "__main__":
    main()
