"""Whether pseudo-labels are learned from, and what more patches alone bring, on prepared tasks.

`python benchmarks/pseudo_labels.py [--task sparse] [--seeds 20]`

Both tasks are areas of two textures of one colour: fine and coarse noise under changing light. In
`sparse`, 1 % of two tiles is annotated; FixMatch is compared with U-Net. In `shifted`, one tile is
annotated in part, and the test tile has the weaker contrast of two more tiles, of which no label is
known: patches of those change the batch statistics. U-REC is compared with its control, w1 0, which
sees the same patches without learning to reconstruct them, and both with U-Net. All methods take
the same number of steps. A seed draws tiles, budget, weights and patches; the score is the mean F1
of a test tile, and intervals are t intervals over seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from blob_trials import enter_trial_process, run_trial, smooth, trial_config
from numpy.typing import NDArray
from scipy import stats
from timing import markdown, surroundings, surroundings_line

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.training.loop import TrainingData

_SIDE_PX = 192
_COARSE_PX = 3
"""Side of the means of noise that make the coarse texture."""
_CONTRAST, _WEAK_CONTRAST = 36.0, 18.0
"""Standard deviation of both textures, out of 255, and of those without labels in `shifted`."""
_LIGHT = 40.0
"""That of the changes of brightness over a tile, which tell nothing of the texture."""
_SIZES = {
    "width": 4,
    "patch_px": 32,
    "batch_size": 8,
    "sampling": "random",
    "augment": True,
    "lr": 3e-3,
    "schedule": "cosine",
    "warmup_steps": 10,
    "infer_window_px": _SIDE_PX,
    "infer_step_px": _SIDE_PX,
    "reconstruct_on": "all",
}
_Arms = dict[str, dict[str, Any]]
"""Fields of the trials of every arm, by its name."""
_FIRST: _Arms = {"U-Net": {"model": "unet"}, "FixMatch": {"model": "fixmatch"}}
_SECOND: _Arms = {
    "U-Net": {"model": "unet"},
    "U-REC, w1 0": {"model": "urec", "w1": 0.0},
    "U-REC": {"model": "urec"},
}


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tasks = {"sparse": (_FIRST, sparse_task, 20), "shifted": (_SECOND, shifted_task, 10)}
    parser.add_argument("--task", choices=tuple(tasks), help="one of both (default: both)")
    parser.add_argument("--seeds", type=int, help="(default: 20 of sparse, 10 of shifted)")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    print(surroundings_line(surroundings()), flush=True)
    enter_trial_process(1)
    for task in (options.task,) if options.task else tasks:
        arms, data, num_seeds = tasks[task]
        num_seeds = options.seeds or num_seeds
        start = time.process_time()
        scores = _scores(arms, data, num_seeds, options.steps)
        seconds = time.process_time() - start
        print(f"\n{task}: {num_seeds} seeds, {options.steps} steps, {seconds:.0f} s of CPU\n")
        print(_table(scores), flush=True)


def sparse_task(seed: int) -> TrainingData:
    """Two tiles of which 1 % is annotated, in blocks of 8 px."""
    generator = np.random.default_rng([seed, 1])
    tiles = [_tile(f"t{number}", generator, _CONTRAST) for number in range(2)]
    return _data(tiles, 0.01, _tile("test", generator, _CONTRAST), seed)


def shifted_task(seed: int) -> TrainingData:
    """A tile of which 10 % is annotated, and three of weaker contrast, one of them to test on."""
    generator = np.random.default_rng([seed, 2])
    tiles = [_tile("annotated", generator, _CONTRAST)]
    tiles += [_tile(f"t{number}", generator, _WEAK_CONTRAST, labels=False) for number in range(2)]
    return _data(tiles, 0.1, _tile("test", generator, _WEAK_CONTRAST), seed)


def _data(tiles: Sequence[Tile], fraction: float, test: Tile, seed: int) -> TrainingData:
    train = pack_tiles(tiles)
    unit = Unit(kind="block", size_px=8, stratified=True)
    budget, annotated = draw_budget(train, fraction=fraction, seed=seed, unit=unit, num_classes=2)
    return TrainingData(
        train=train,
        annotated=annotated,
        class_px=budget.class_px,
        val=pack_tiles([test]),
        scaling=uint8_scaling(3),
        class_names=("fine", "coarse"),
        exclude_from_mean=(),
    )


def _tile(name: str, generator: np.random.Generator, contrast: float, labels: bool = True) -> Tile:
    """A square tile of smooth areas, each of one of the textures."""
    side = _SIDE_PX
    mask = (smooth(side, generator) > 0).astype(np.uint8)
    fine, coarse = (_noise(generator, size) for size in (1, _COARSE_PX))
    texture = np.where(mask == 0, fine, coarse) * contrast
    light = np.stack([smooth(side, generator) for _ in range(3)]) * _LIGHT / 2
    light += smooth(side, generator) * _LIGHT / 2
    image = np.clip(np.rint(128 + light + texture), 0, 255).astype(np.uint8)
    known = mask if labels else np.full_like(mask, IGNORE_INDEX)
    return Tile(name=name, image=image, mask=known)


def _noise(generator: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Means of white noise over squares of this side, with a standard deviation of 1."""
    white = generator.normal(size=(_SIDE_PX + size - 1, _SIDE_PX + size - 1))
    windows = np.lib.stride_tricks.sliding_window_view(white, (size, size))
    return windows.mean(axis=(2, 3)) * size


def _scores(
    arms: _Arms, data: Callable[[int], TrainingData], num_seeds: int, steps: int
) -> dict[str, list[float]]:
    scores: dict[str, list[float]] = {name: [] for name in arms}
    for seed in range(num_seeds):
        drawn = data(seed)
        for name, fields in arms.items():
            result = run_trial(trial_config(seed=seed, steps=steps, **_SIZES | fields), drawn)
            scores[name].append(result.best_score)
            share = result.history[-1].get("train/pseudo_share")
            told = "" if share is None else f", {share:.1%} of pixels labelled"
            print(f"seed {seed}, {name}: {result.best_score:.3f}{told}", flush=True)
    return scores


def _table(scores: dict[str, list[float]]) -> str:
    """Mean score of each arm, and 95 % t intervals of all differences."""
    rows = [[name, f"{np.mean(values):.3f}", ""] for name, values in scores.items()]
    names = list(scores)
    for place, one in enumerate(names):
        for other in names[:place]:
            differences = np.subtract(scores[one], scores[other])
            half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
            mean = differences.mean()
            rows.append(
                [f"{one} - {other}", f"{mean:+.3f}", f"{mean - half:+.3f} to {mean + half:+.3f}"]
            )
    return markdown(["", "mean F1", "95 % interval"], rows)


if __name__ == "__main__":
    main()
