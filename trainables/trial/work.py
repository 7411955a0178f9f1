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
from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.node_tiles import NodeTiles
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import TileSet
from trainables.networks.model_file import TrainedModel
from trainables.settings.config import TrialConfig
from trainables.settings.process_group import ProcessGroup
from trainables.settings.processes import keep_freed_memory
from trainables.storage.atomic_files import write_atomically
from trainables.training.checkpoint import Row
from trainables.training.loop import TrainingData, TrainResult, train
from trainables.training.stopwatch import Stopwatch
from trainables.training.trace import PROFILE, TRACE, Tracer
from trainables.trial.folder.trial_files import CHECKPOINT, TrialFiles
from trainables.trial.results.final_scores import score_test_tiles
from trainables.trial.results.picture import trial_picture

Report: TypeAlias = Callable[[dict[str, Any]], None]
"""Takes what Ray Tune is told: `step`, `rows` since the last one, `score`, `finished`."""


def do_trial(
    handed: Mapping[str, Any], group: ProcessGroup, device: torch.device, report: Report
) -> None:
    """Train, evaluate and record one trial; of several workers, each calls this.

    Everything is on disk, or in the store, before the last report, since code after it may never
    run.

    Args:
        handed: See `trainables.trial.run.run_trial`.
        group: The workers; the first writes the trial's files and reports.
        device: Where this worker trains.
        report: Tells Ray Tune; the first worker alone calls it.

    Raises:
        ValueError: If a search trial is handed test tiles.
    """
    config = TrialConfig.from_plain(handed["trial"])
    if config.phase == "search" and "test" in handed["tiles"]:
        raise ValueError(f"a search trial must not be handed test tiles, got them in {config.key}")
    watch = Stopwatch(device, handed["timed_since"])
    torch.set_num_threads(max(1, int(handed["cpus"])))
    keep_freed_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with TrialFiles(handed["folder"], handed["store"]) as files:
        if group.is_first:
            files.fetch()
        score = group.from_first(_score(files.folder))
        if score is None:  # else its process was lost after all had been written
            score = _work(config, handed, group, device, files, watch, report)
        if group.is_first:
            files.remove_checkpoints()
    if group.is_first:
        report({"step": config.training.steps, "rows": [], "score": score, "finished": True})


def _score(folder: Path) -> float | None:
    """What a finished trial recorded, or None where it has not finished."""
    path = folder / RESULT
    return float(json.loads(path.read_text(encoding="utf-8"))["score"]) if path.exists() else None


def _work(
    config: TrialConfig,
    handed: Mapping[str, Any],
    group: ProcessGroup,
    device: torch.device,
    files: TrialFiles,
    watch: Stopwatch,
    report: Report,
) -> float:
    """All of a trial but its last report; returns the selected validation measure."""
    tiles = {split: _open(ray.get(ref)) for split, ref in handed["tiles"].items()}
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

    def report_rows(step: int, rows: Sequence[Row]) -> None:
        with watch.part("checkpoint"):
            files.push_checkpoint()
        score = rows[-1][f"val/{config.training.select_by}"]
        with watch.part("report"):
            report({"step": step, "rows": list(rows), "score": score, "finished": False})

    with _tracer(handed, files, device, group, watch) as tracer:
        result = train(
            config,
            data,
            device=device,
            checkpoint=files.folder / CHECKPOINT,
            report=report_rows,
            checkpoint_every_s=handed["checkpoint_every_s"],
            group=group,
            watch=watch,
            tracer=tracer,
        )
    metrics = _measures(config, result, budget, device, group)
    if "test" in tiles:
        with watch.part("test"):
            metrics |= score_test_tiles(
                result.model,
                config.training,
                data,
                tiles["test"],
                map_colors=_colors(handed) if handed["keep_maps"] else None,
                group=group,
                device=device,
                files=files,
            )
    if group.is_first:
        with watch.part("record"):
            _keep(result, config, data, tiles, handed, device, files)
        metrics |= {f"time/{part}_s": seconds for part, seconds in result.seconds.items()}
        _record(result, config, metrics, files)
    return result.best_score


def _tracer(
    handed: Mapping[str, Any],
    files: TrialFiles,
    device: torch.device,
    group: ProcessGroup,
    watch: Stopwatch,
) -> Tracer:
    """Of the first worker, where the trial is to be traced and no earlier attempt has been."""
    folder = files.folder / PROFILE
    is_wanted = handed["trace"] and group.is_first and not (folder / TRACE).exists()
    return Tracer(folder if is_wanted else None, device, watch, lambda: files.push(PROFILE))


def _open(tiles: TileSet | NodeTiles) -> TileSet:
    return tiles.open() if isinstance(tiles, NodeTiles) else tiles


def _keep(
    result: TrainResult,
    config: TrialConfig,
    data: TrainingData,
    tiles: Mapping[str, TileSet],
    handed: Mapping[str, Any],
    device: torch.device,
    files: TrialFiles,
) -> None:
    """Write the picture of a trial and, of a confirmation trial, its network."""
    shown = tiles["test" if "test" in tiles else "val"].tile(0)
    picture = trial_picture(
        result.model, shown, _colors(handed), config.training, data.scaling, device
    )
    write_atomically(files.folder / PICTURE, picture)
    files.push(PICTURE)
    if config.phase == "confirm":  # search trials are compared, never applied: no weights
        _trained(result, config, handed).save(files.folder / MODEL_FILE)
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


def _colors(handed: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    return [tuple(entry["color"]) for entry in handed["classes"]]


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
        nodata=handed["nodata"],
        study=handed["study"],
    )


def _measures(
    config: TrialConfig,
    result: TrainResult,
    budget: Budget,
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
        "budget/reached_frac": budget.fraction_reached,
        "budget/annotated_px": budget.annotated_px,
    }
