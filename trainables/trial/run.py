"""What Ray Tune runs for one trial: in the trial's own process, or as a group of workers."""

from __future__ import annotations

import gc
from typing import Any

import torch
from ray import tune

from trainables.settings.process_group import ALONE
from trainables.trial.work import do_trial


def run_trial(handed: dict[str, Any]) -> None:
    """Train, evaluate and record one trial; the function Ray Tune calls.

    Args:
        handed: All that the trial gets: `trial` (`TrialConfig.to_plain`), `tiles` (object
            references of `TileSet` or `NodeTiles` by split; `test` for confirmation trials
            alone), `budget` (object references of `Budget.to_plain` and of its `PixelSet`),
            `scaling` (`BandScaling.to_plain`), `classes` (name and RGB color each),
            `exclude_from_mean`, `folder` (where to write) and `store` (where to write instead, a
            `Store`, or None), `workers` (their lowest and highest number; 0 and 0: in this
            process), `cpus` (threads of each), `gpus` (of each; above 0: train on the GPU that Ray
            shows), `checkpoint_every_s` (of work at risk), `keep_maps` (whether the predicted maps
            of the test tiles are written too), `timed_since` (when it was handed out, in seconds
            since 1970, where its parts are measured, or None), `trace` (whether some of its steps
            are traced); `bands` (names of the image bands), `nodata` (of each, as dataset.yaml
            has it) and `study` (its name) go into the model file.

    Raises:
        ValueError: If a search trial is handed test tiles.
    """
    _collect_garbage()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()  # and its memory to the other trials on the card
    if handed["workers"][1] > 0:
        from trainables.trial.worker_group import run_group  # Ray Train takes a while to import

        run_group(handed, tune.report)
    else:
        device = torch.device("cuda" if handed["gpus"] > 0 else "cpu")
        do_trial(handed, ALONE, device, tune.report)


def _collect_garbage() -> None:
    """Free what the last trial of this process left in cycles.

    What is there before the first one, libraries above all, stays and is not looked through again,
    which would take more than all else at the start of a trial.
    """
    gc.collect()
    if gc.get_freeze_count() == 0:
        gc.freeze()
