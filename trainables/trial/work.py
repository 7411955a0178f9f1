"""The work of a trial on one of its workers: train, evaluate, record."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import ray
import torch

from contract.names import MODEL_FILE, PICTURE, RESULT
from trainables.data.budgets.annotation import Budget, verify_pixels
from trainables.data.budgets.pixel_set import PixelSet, count_labelled
from trainables.data.tilesets.node_tiles import NodeTiles
from trainables.data.tilesets.tileset import TileSet
from trainables.evaluation.reconstruction_errors import reconstruction_errors
from trainables.methods import METHODS
from trainables.networks.model_file import TrainedModel
from trainables.settings.config import TrialConfig
from trainables.settings.process_group import ProcessGroup
from trainables.settings.processes import keep_freed_memory
from trainables.storage.atomic_files import write_atomically
from trainables.training.checkpoint import Row
from trainables.training.loop import TrainingData, TrainResult, train
from trainables.training.stopwatch import Stopwatch
from trainables.training.trace import PROFILE, TRACE, Tracer
from trainables.trial.folder.outcomes import read_outcome
from trainables.trial.folder.trial_files import CHECKPOINT, TrialFiles
from trainables.trial.results.final_scores import score_test_tiles
from trainables.trial.results.picture import trial_picture
from trainables.trial.task import TrialTask

Report: TypeAlias = Callable[[dict[str, Any]], None]
"""Takes a report to Ray Tune: `step`, `rows` since the last one, `score`, `finished`."""


def do_trial(task: TrialTask, group: ProcessGroup, device: torch.device, report: Report) -> None:
    """Train, evaluate and record one trial; each of several workers calls this.

    Everything is on disk, or in the store, before the last report, since code after it may never
    run.

    Args:
        task: The trial, and all that it may read and use.
        group: The workers; the first writes the trial's files and reports.
        device: Where this worker trains.
        report: Tells Ray Tune; the first worker alone calls it.
    """
    watch = Stopwatch(device, task.timed_since)
    torch.set_num_threads(max(1, int(task.resources.cpus)))
    keep_freed_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with TrialFiles(task.folder, task.store) as files:
        if group.is_first:
            files.fetch()
        score = group.from_first(_recorded_score(files.folder))
        if score is None:  # else its process was lost after all had been written
            score = _work(task, group, device, files, watch, report)
        if group.is_first:
            files.remove_checkpoints()
    if group.is_first:
        steps = task.trial.training.steps
        report({"step": steps, "rows": [], "score": score, "finished": True})


def _recorded_score(folder: Path) -> float | None:
    """The score that a finished trial recorded; None for a trial that has not finished."""
    outcome = read_outcome(folder)
    return outcome.score if outcome is not None and outcome.state == "finished" else None


def _work(
    task: TrialTask,
    group: ProcessGroup,
    device: torch.device,
    files: TrialFiles,
    watch: Stopwatch,
    report: Report,
) -> float:
    """Do all of a trial but its last report; returns the selected validation measure."""
    config = task.trial
    tiles = {split: _open(ray.get(ref)) for split, ref in task.tiles.items()}
    budget, annotated = _verified(task.budget, task.annotated, tiles["train"])
    val_budget, val_annotated = None, None
    if task.val_budget is not None:
        val_budget, val_annotated = _verified(task.val_budget, task.val_annotated, tiles["val"])
    data = TrainingData(
        train=tiles["train"],
        annotated=annotated,
        class_px=budget.class_px,
        val=tiles["val"],
        scaling=task.data.scaling,
        class_names=tuple(one.name for one in task.data.classes),
        exclude_from_mean=task.data.exclude_from_mean,
        val_annotated=val_annotated,
        encoder=None if task.encoder is None else ray.get(task.encoder),
    )

    def report_rows(step: int, rows: Sequence[Row]) -> None:
        with watch.part("checkpoint"):
            files.push_checkpoint()
        score = rows[-1][f"val/{config.training.select_by}"]
        with watch.part("report"):
            report({"step": step, "rows": list(rows), "score": score, "finished": False})

    with _tracer(task, files, device, group, watch) as tracer:
        result = train(
            config,
            data,
            device=device,
            checkpoint=files.folder / CHECKPOINT,
            report=report_rows,
            checkpoint_every_s=task.checkpoint_every_s,
            group=group,
            watch=watch,
            tracer=tracer,
        )
    metrics = _measures(config, result, device, group)
    metrics |= _budget_measures(budget, val_budget, tiles["val"])
    if task.annotation_minutes is not None:
        metrics["budget/minutes"] = task.annotation_minutes
    if METHODS[config.unannotated].needs_reconstruction:
        with watch.part("validation"):
            errors = reconstruction_errors(
                result.model, data.val, data.train, config.training, data.scaling, device, group
            )
        metrics |= {f"val/{name}": error for name, error in errors.items()}
    if "test" in tiles:
        with watch.part("test"):
            metrics |= score_test_tiles(
                result.model,
                config.training,
                data,
                tiles["test"],
                map_colors=_colors(task) if task.keep_maps else None,
                group=group,
                device=device,
                files=files,
            )
    if group.is_first:
        with watch.part("record"):
            _keep(result, task, data, tiles, device, files)
        metrics |= {f"time/{part}_s": seconds for part, seconds in result.seconds.items()}
        _record(result, config, metrics, files)
    return result.best_score


def _verified(budget: Any, annotated: Any, tiles: TileSet) -> tuple[Budget, PixelSet]:
    """The budget and the pixels behind two references, which are those of the tiles.

    Raises:
        DataError: If they are not.
    """
    held, pixels = Budget.from_plain(ray.get(budget)), ray.get(annotated)
    verify_pixels(tiles, held, pixels)
    return held, pixels


def _tracer(
    task: TrialTask,
    files: TrialFiles,
    device: torch.device,
    group: ProcessGroup,
    watch: Stopwatch,
) -> Tracer:
    """Returns a tracer that is on if this is the first worker of a trial that has no trace yet."""
    folder = files.folder / PROFILE
    is_wanted = task.trace and group.is_first and not (folder / TRACE).exists()
    return Tracer(folder if is_wanted else None, device, watch, lambda: files.push(PROFILE))


def _open(tiles: TileSet | NodeTiles) -> TileSet:
    return tiles.open() if isinstance(tiles, NodeTiles) else tiles


def _keep(
    result: TrainResult,
    task: TrialTask,
    data: TrainingData,
    tiles: Mapping[str, TileSet],
    device: torch.device,
    files: TrialFiles,
) -> None:
    """Write the picture of a trial and, of a confirmation trial, its network."""
    shown = tiles["test" if "test" in tiles else "val"].tile(0)
    picture = trial_picture(
        result.model, shown, _colors(task), task.trial.training, data.scaling, device
    )
    write_atomically(files.folder / PICTURE, picture)
    files.push(PICTURE)
    if task.trial.phase == "confirm":  # search trials are compared, never applied: no weights
        _trained(result, task, data).save(files.folder / MODEL_FILE)
        files.push(MODEL_FILE)


def _record(
    result: TrainResult, config: TrialConfig, metrics: Mapping[str, float], files: TrialFiles
) -> None:
    """Write the file that says that the trial is done, after all others."""
    record = {
        "trial": config.to_plain(),
        "score": result.best_score,
        "converged": result.converged,
        "metrics": metrics,
        "history": result.history,
        "damaged_checkpoints": result.damaged,
    }
    write_atomically(files.folder / RESULT, json.dumps(record).encode())
    files.push(RESULT)


def _colors(task: TrialTask) -> list[tuple[int, int, int]]:
    return [one.color for one in task.data.classes]


def _trained(result: TrainResult, task: TrialTask, data: TrainingData) -> TrainedModel:
    """What is kept of the network, to be applied to other images."""
    return TrainedModel.from_trial(
        result.model,
        task.trial,
        classes=task.data.classes,
        bands=task.data.bands,
        scaling=task.data.scaling,
        nodata=task.data.nodata,
        encoder=data.encoder,
        study=task.study,
    )


def _measures(
    config: TrialConfig,
    result: TrainResult,
    device: torch.device,
    group: ProcessGroup,
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
        "perf/workers": group.size,
        "perf/bf16": float(result.bf16),
        "perf/peak_memory_mib": peak_mib,
    }


def _budget_measures(budget: Budget, val_budget: Budget | None, val: TileSet) -> dict[str, float]:
    """What was annotated: of the training tiles, of the validation tiles, and of both together.

    Args:
        budget: Of the training tiles.
        val_budget: Of the validation tiles; None where all their labels count.
        val: The validation tiles.
    """
    val_labelled_px = count_labelled(val) if val_budget is None else val_budget.labelled_px
    val_px = val_labelled_px if val_budget is None else val_budget.annotated_px
    labelled_px = budget.labelled_px + val_labelled_px
    return {
        "budget/reached_frac": budget.fraction_reached,
        "budget/annotated_px": budget.annotated_px,
        "budget/val_reached_frac": val_px / val_labelled_px,
        "budget/val_annotated_px": val_px,
        "budget/with_val_frac": (budget.annotated_px + val_px) / labelled_px,
    }
