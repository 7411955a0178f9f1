"""Whether pseudo-labels are learned from, and what more patches alone bring, on prepared tasks.

`python benchmarks/pseudo_labels.py [--task sparse] [--seeds 20] [--workers 2]`

In `sparse`, two tiles of parcels of stripes and of dots, of any direction, colour and brightness,
are annotated to 1 %; FixMatch is compared with U-Net, and with FixMatch whose pseudo-labels weigh
nothing, which sees the same views in its batch normalisation. In `grain`, parcels of one colour
differ in the grain of their noise alone: no network can rebuild it, so that U-REC has nothing more
than its control, w1 0, which sees the same patches without learning to reconstruct them. What both
have beside U-Net is those patches. How often an interval of U-REC less its control holds 0 is
counted over draws of a few of the seeds.

All methods take the same number of steps. A seed draws tiles, budget, weights and patches; the
score is the mean F1 of test tiles, and intervals are t intervals over seeds. Seeds below 100 were
used while the tasks were made, and are not among those that are reported.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
from blob_trials import enter_trial_process, run_trial, trial_config
from numpy.typing import NDArray
from scipy import stats
from timing import markdown, surroundings, surroundings_line

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.training.loop import TrainingData

_FIRST_SEED: Final = 100
_PARCEL_PX: Final = 64
"""About the side of a parcel."""
_COARSE_PX: Final = 3
"""Side of the means of noise that make the coarse grain."""
_NUM_DRAWS, _DRAWN_SEEDS = 2000, 8
"""Of the repetitions of `grain`: how many, and seeds in each."""
_CONTROL: Final = "U-REC, w1 0"

_Scores = dict[str, float]
"""Mean F1 of each arm."""


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=tuple(_TASKS), help="one of both (default: both)")
    parser.add_argument("--seeds", type=int, help="(default: 20 of sparse, 40 of grain)")
    parser.add_argument("--first-seed", type=int, default=_FIRST_SEED)
    parser.add_argument("--workers", type=int, default=1, help="seeds at once")
    options = parser.parse_args()
    print(surroundings_line(surroundings()), flush=True)
    spawn = multiprocessing.get_context("spawn")
    for task in (options.task,) if options.task else tuple(_TASKS):
        start = time.perf_counter()
        num_seeds = options.seeds or _NUM_SEEDS[task]
        seeds = range(options.first_seed, options.first_seed + num_seeds)
        with ProcessPoolExecutor(options.workers, spawn, enter_trial_process, (1,)) as pool:
            scores = list(pool.map(partial(_run_seed, task), seeds))
        seconds = time.perf_counter() - start
        print(f"\n{task}: {num_seeds} seeds, {seconds:.0f} s\n")
        print(_table(scores), flush=True)
        if task == "grain":
            print(_coverage(_differences(scores, "U-REC", _CONTROL)), flush=True)


def sparse_task(seed: int) -> TrainingData:
    """Two tiles of stripes and dots, of which 1 % is annotated in blocks of 8 px; two to test."""
    generator = np.random.default_rng([seed, 1])
    tiles = [_patterned_tile(f"t{number}", 192, generator) for number in range(4)]
    return _data(tiles[:2], tiles[2:], ("stripes", "dots"), seed)


def grain_task(seed: int) -> TrainingData:
    """Two tiles of fine and coarse noise, of which 1 % is annotated; one to test."""
    generator = np.random.default_rng([seed, 2])
    tiles = [_grainy_tile(f"t{number}", 128, generator) for number in range(3)]
    return _data(tiles[:2], tiles[2:], ("fine", "coarse"), seed)


_TASKS: Final[dict[str, Callable[[int], TrainingData]]] = {
    "sparse": sparse_task,
    "grain": grain_task,
}
_NUM_SEEDS: Final = {"sparse": 20, "grain": 40}
_ARMS: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "sparse": {
        "U-Net": {"model": "unet"},
        "FixMatch, pseudo_weight 0": {"model": "fixmatch", "pseudo_weight": 0.0},
        "FixMatch": {"model": "fixmatch"},
    },
    "grain": {
        "U-Net": {"model": "unet"},
        _CONTROL: {"model": "urec", "w1": 0.0},
        "U-REC": {"model": "urec"},
    },
}
"""Fields of the trials of every arm, by its name."""
_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "sparse": {"batch_size": 8, "infer_window_px": 192, "infer_step_px": 192},
    "grain": {"batch_size": 4, "infer_window_px": 128, "infer_step_px": 128},
}
_RECIPE: Final[dict[str, Any]] = {
    "width": 4,
    "patch_px": 32,
    "steps": 300,
    "sampling": "random",
    "augment": True,
    "lr": 3e-3,
    "schedule": "cosine",
    "warmup_steps": 10,
    "reconstruct_on": "all",
}


def _run_seed(task: str, seed: int) -> _Scores:
    """Train every arm of a task."""
    data = _TASKS[task](seed)
    scores = {}
    for name, fields in _ARMS[task].items():
        config = trial_config(seed=seed, **_RECIPE, **_FIELDS[task], **fields)
        result = run_trial(config, data)
        scores[name] = result.best_score
        share = result.history[-1].get("train/pseudo_share")
        labelled = "" if share is None else f", {share:.1%} of pixels labelled"
        print(f"seed {seed}, {name}: {result.best_score:.3f}{labelled}", flush=True)
    return scores


def _data(
    tiles: Sequence[Tile], tests: Sequence[Tile], classes: tuple[str, str], seed: int
) -> TrainingData:
    train = pack_tiles(tiles)
    unit = Unit(kind="block", size_px=8, stratified=True)
    budget, annotated = draw_budget(train, fraction=0.01, seed=seed, unit=unit, num_classes=2)
    return TrainingData(
        train=train,
        annotated=annotated,
        class_px=budget.class_px,
        val=pack_tiles(tests),
        scaling=uint8_scaling(3),
        class_names=classes,
        exclude_from_mean=(),
    )


def _parcels(side: int, generator: np.random.Generator) -> tuple[NDArray[np.int64], int]:
    """To which parcel each pixel (side, side) belongs, of the nearest centre, and their number."""
    num = max(side * side // _PARCEL_PX**2, 2)
    centres = generator.uniform(0, side, (num, 2))
    places = np.indices((side, side))[..., None]
    distances = ((places - centres.T[:, None, None]) ** 2).sum(axis=0)
    nearest: NDArray[np.int64] = distances.argmin(axis=-1)
    return nearest, num


def _patterned_tile(name: str, side: int, generator: np.random.Generator) -> Tile:
    """Parcels of stripes (class 0) and of dots, 6 to 10 px apart, under a little noise."""
    parcel, num = _parcels(side, generator)
    classes = generator.integers(0, 2, num)
    angle = generator.uniform(0, np.pi, num)[parcel]
    period = generator.uniform(6.0, 10.0, num)[parcel]
    phase, other_phase = generator.uniform(0, 2 * np.pi, (2, num))[:, parcel]
    contrast = np.exp(generator.uniform(np.log(30.0), np.log(40.0), num))[parcel]
    brightness = generator.uniform(-20.0, 20.0, num)[parcel]
    colour = generator.uniform(-10.0, 10.0, (3, num))[:, parcel]
    rows, columns = np.indices((side, side))
    along = columns * np.cos(angle) + rows * np.sin(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    wave = np.sin(2 * np.pi * along / period + phase)
    other = np.sin(2 * np.pi * across / period + other_phase)
    mask = classes[parcel].astype(np.uint8)
    pattern = np.where(mask == 0, np.sqrt(2.0) * wave, 2.0 * wave * other)  # deviation 1 of both
    noise = generator.normal(0.0, 8.0, (3, side, side))
    return _tile(name, brightness + colour + contrast * pattern + noise, mask)


def _grainy_tile(name: str, side: int, generator: np.random.Generator) -> Tile:
    """Parcels of fine (class 0) and of coarse noise, of different strength."""
    parcel, num = _parcels(side, generator)
    mask = generator.integers(0, 2, num)[parcel].astype(np.uint8)
    contrast = np.exp(generator.uniform(np.log(20.0), np.log(40.0), num))[parcel]
    fine, coarse = (_noise(side, size, generator) for size in (1, _COARSE_PX))
    noise = generator.normal(0.0, 4.0, (3, side, side))
    return _tile(name, np.where(mask == 0, fine, coarse) * contrast + noise, mask)


def _noise(side: int, size: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Means of white noise over squares of this size (side, side), with a deviation of 1."""
    white = generator.normal(size=(side + size - 1, side + size - 1))
    windows = np.lib.stride_tricks.sliding_window_view(white, (size, size))
    means: NDArray[np.float64] = windows.mean(axis=(2, 3)) * size
    return means


def _tile(name: str, values: NDArray[np.float64], mask: NDArray[np.uint8]) -> Tile:
    image = np.clip(np.rint(128 + values), 0, 255).astype(np.uint8)
    return Tile(name=name, image=image, mask=mask)


def _table(scores: Sequence[_Scores]) -> str:
    """Mean score of each arm, and 95 % t intervals of all differences."""
    names = list(scores[0])
    rows = [[name, f"{np.mean([one[name] for one in scores]):.3f}", ""] for name in names]
    for place, one in enumerate(names):
        for other in names[:place]:
            differences = _differences(scores, one, other)
            low, high = _interval(differences)
            row = [f"{one} - {other}", f"{differences.mean():+.3f}", f"{low:+.3f} to {high:+.3f}"]
            rows.append(row)
    return markdown(["", "mean F1", "95 % interval"], rows)


def _differences(scores: Sequence[_Scores], one: str, other: str) -> NDArray[np.float64]:
    return np.array([each[one] - each[other] for each in scores])


def _interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    mean = float(differences.mean())
    half = float(stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences))
    return mean - half, mean + half


def _coverage(differences: NDArray[np.float64]) -> str:
    """How many studies of a few of the seeds have an interval that holds 0."""
    generator = np.random.default_rng(0)
    num = min(_DRAWN_SEEDS, len(differences))
    draws = (generator.choice(differences, num, replace=False) for _ in range(_NUM_DRAWS))
    intervals = [_interval(draw) for draw in draws]
    share = sum(low <= 0.0 <= high for low, high in intervals) / _NUM_DRAWS
    return f"\n{share:.1%} of {_NUM_DRAWS} draws of {num} seeds have an interval that holds 0"


if __name__ == "__main__":
    main()
