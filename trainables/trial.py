"""What Ray runs for one trial, in the trial's own process."""

from __future__ import annotations

import gc
import json
import resource
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ray
import torch
from ray import tune

from trainables.checkpoint import Row, remove_checkpoints
from trainables.config import TrialConfig
from trainables.data.annotation import Budget, verify_pixels
from trainables.data.pixel_set import PixelSet
from trainables.data.scaling import BandScaling
from trainables.data.spec import ClassSpec
from trainables.data.tileset import TileSet
from trainables.evaluation import evaluate_tiles
from trainables.files import write_atomically
from trainables.loop import TrainingData, TrainResult, train
from trainables.metrics import summarise
from trainables.model_file import MODEL_FILE, TrainedModel
from trainables.models.urec import UREC
from trainables.picture import trial_picture
from trainables.tile_maps import MAPS, TileMaps

CHECKPOINT: Final = "checkpoint.pt"
RESULT: Final = "result.json"
CONFUSION: Final = "confusion.json"
PICTURE: Final = "picture.png"


def run_trial(handed: dict[str, Any]) -> None:
    """Train, evaluate and record one trial; the function Ray Tune calls.

    Everything is on disk before the last report, since code after it may never run.

    Args:
        handed: All that the trial gets: `trial` (`TrialConfig.to_plain`), `tiles` (object
            references of `TileSet` by split; `test` for confirmation trials alone), `budget`
            (object references of `Budget.to_plain` and of its `PixelSet`), `scaling`
            (`BandScaling.to_plain`), `classes` (name and RGB color each),
            `exclude_from_mean`, `folder` (where to write), `cpus` (threads to use), `gpus`
            (above 0: train on the GPU that Ray shows), `checkpoint_every_s` (of work at risk);
            `keep_maps` (whether the predicted maps of the test tiles are written too);
            `bands` (names of the image bands) and `study` (its name) go into the model file.

    Raises:
        ValueError: If a search trial is handed test tiles.
    """
    gc.collect()  # An actor runs many trials: what the last one left in cycles goes now.
    config = TrialConfig.from_plain(handed["trial"])
    if config.phase == "search" and "test" in handed["tiles"]:
        raise ValueError(f"a search trial must not be handed test tiles, got them in {config.key}")
    folder = Path(handed["folder"])
    done = read_result(folder)
    if done is not None:  # its process was lost after all had been written
        _report_end(config, done["score"])
        return
    torch.set_num_threads(max(1, int(handed["cpus"])))
    device = torch.device("cuda" if handed["gpus"] > 0 else "cpu")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    tiles: dict[str, TileSet] = {split: ray.get(ref) for split, ref in handed["tiles"].items()}
    budget_plain, pixels_ref = handed["budget"]
    budget = Budget.from_plain(ray.get(budget_plain))
    annotated: PixelSet = ray.get(pixels_ref)
    verify_pixels(tiles["train"], budget, annotated)
    data = TrainingData(
        train=tiles["train"],
        annotated=annotated,
        val=tiles["val"],
        scaling=BandScaling.from_plain(handed["scaling"]),
        class_names=tuple(entry["name"] for entry in handed["classes"]),
        exclude_from_mean=tuple(handed["exclude_from_mean"]),
    )

    def report(step: int, rows: Sequence[Row]) -> None:
        score = rows[-1][f"val/{config.training.select_by}"]
        tune.report({"step": step, "rows": list(rows), "score": score, "finished": False})

    checkpoint = folder / CHECKPOINT
    result = train(
        config,
        data,
        device=device,
        checkpoint=checkpoint,
        report=report,
        checkpoint_every_s=handed["checkpoint_every_s"],
    )
    metrics = _measures(config, result, budget, device)
    colors = [tuple(entry["color"]) for entry in handed["classes"]]
    if "test" in tiles:
        maps = None
        if handed["keep_maps"]:
            rebuilt = isinstance(result.model, UREC)
            maps = TileMaps(folder / MAPS, tiles["test"], colors, reconstructs=rebuilt)
        metrics |= _test(result, config, data, tiles["test"], device, folder, maps)
    shown = tiles["test" if "test" in tiles else "val"].tile(0)
    picture = trial_picture(result.model, shown, colors, config.training, data.scaling, device)
    write_atomically(folder / PICTURE, picture)
    if config.phase == "confirm":  # search trials are compared, never applied: no weights
        _trained(result, config, handed).save(folder / MODEL_FILE)
    record = {
        "trial": config.to_plain(),
        "score": result.best_score,
        "converged": result.converged,
        "metrics": metrics,
        "history": result.history,
        "damaged_checkpoints": result.damaged,
    }
    write_atomically(folder / RESULT, json.dumps(record).encode())
    remove_checkpoints(checkpoint)
    _report_end(config, result.best_score)


def read_result(folder: Path) -> dict[str, Any] | None:
    """The record of a finished trial, or None where it has not finished."""
    path = folder / RESULT
    if not path.exists():
        return None
    record: dict[str, Any] = json.loads(path.read_text())
    return record


def _report_end(config: TrialConfig, score: float) -> None:
    tune.report({"step": config.training.steps, "rows": [], "score": score, "finished": True})


def _trained(result: TrainResult, config: TrialConfig, handed: Mapping[str, Any]) -> TrainedModel:
    """What is kept of the network, to be applied to other images."""
    return TrainedModel.from_trial(
        result.model,
        config,
        classes=[
            ClassSpec(name=one["name"], color=tuple(one["color"])) for one in handed["classes"]
        ],
        bands=handed["bands"],
        scaling=BandScaling.from_plain(handed["scaling"]),
        study=handed["study"],
    )


def _measures(
    config: TrialConfig, result: TrainResult, budget: Budget, device: torch.device
) -> dict[str, float]:
    """Measures of the run as a whole, apart from the test tiles."""
    patches = config.training.steps * config.training.batch_size
    if device.type == "cuda":
        peak_mib = torch.cuda.max_memory_allocated() / 2**20
    else:  # of the process, which may have run other trials before
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return {
        f"select/{config.training.select_by}": result.best_score,
        "select/step": result.best_step,
        "perf/patches_per_s": patches / result.train_s,
        "perf/train_s": result.train_s,
        "perf/eval_s": result.eval_s,
        "perf/peak_memory_mib": peak_mib,
        "budget/reached_frac": budget.fraction_reached,
        "budget/annotated_px": budget.annotated_px,
    }


def _test(
    result: TrainResult,
    config: TrialConfig,
    data: TrainingData,
    tiles: TileSet,
    device: torch.device,
    folder: Path,
    maps: TileMaps | None,
) -> dict[str, float]:
    """Score the test tiles, once, and keep the matrix of each, and its map where wanted."""
    num_classes = len(data.class_names)
    matrices = list(
        evaluate_tiles(
            result.model, tiles, config.training, num_classes, data.scaling, device, maps
        )
    )
    record = {
        "schema": 1,
        "split": "test",
        "classes": data.class_names,
        "exclude_from_mean": data.exclude_from_mean,
        "tiles": [
            {"name": name, "eroded": None}
            | {reference: matrix.tolist() for reference, matrix in tile.items()}
            for name, tile in zip(tiles.names, matrices, strict=True)
        ],
    }
    write_atomically(folder / CONFUSION, json.dumps(record).encode())
    scores: dict[str, float] = {}
    for reference, split in (("full", "test"), ("eroded", "test_eroded")):
        if all(reference in tile for tile in matrices):
            pooled = torch.stack([tile[reference] for tile in matrices]).sum(dim=0)
            scores |= _named(split, summarise(pooled, data.class_names, data.exclude_from_mean))
    return scores


def _named(split: str, scores: Mapping[str, float]) -> dict[str, float]:
    """`split/name` of every measure that is defined: an absent class has none."""
    return {f"{split}/{name}": value for name, value in scores.items() if value == value}
