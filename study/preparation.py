"""What is fixed before the first trial: the steps, the budgets and `study.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from study.arms import Arm, confirm_seeds, fraction_text
from study.config import StudyConfig
from study.preflight import StudyData
from study.provenance import read_manifest, study_manifest, write_manifest
from trainables.data.annotation import Budget, draw_budget, read_budget, write_budget
from trainables.data.positions import patch_grid
from trainables.errors import ConfigError, DataError

MANIFEST: Final = "study.yaml"

Budgets = Mapping[tuple[int, float], Budget]
"""By seed and annotation fraction."""


def resolve_steps(config: StudyConfig, data: StudyData) -> StudyConfig:
    """Replace epochs by optimiser steps: epochs x patches of the grid / batch size."""
    training = config.training
    if training.epochs is None:
        return config
    patches = len(patch_grid(data.tiles["train"], training.patch_px, training.stride_px))
    steps = training.epochs * -(-patches // training.batch_size)
    return replace(config, training=replace(training, steps=steps))


def prepare(config: StudyConfig, arms: tuple[Arm, ...], data: StudyData) -> Budgets:
    """Write `study.yaml` and the budgets, or verify those of an earlier run under this name.

    Returns:
        Budgets by seed and annotation fraction.

    Raises:
        ConfigError: If the configuration changed under an old name.
        DataError: If tiles or budgets changed under an old name.
    """
    folder = config.folder
    earlier = read_manifest(folder / MANIFEST)
    if earlier is not None:
        _refuse_changes(config, data, earlier)
    budgets = {}
    for seed in (config.seed, *confirm_seeds(config)):
        for fraction in sorted({arm.label_frac for arm in arms}):
            budget = draw_budget(
                data.tiles["train"],
                fraction=fraction,
                seed=seed,
                block_px=config.training.patch_px,
                num_classes=len(data.spec.classes),
            )
            path = folder / "budgets" / f"s{seed}-f{fraction_text(fraction)}.json"
            if not path.exists():
                write_budget(path, budget)
            elif read_budget(path) != budget:
                raise DataError(f"{path} must be the budget of these tiles, got another one")
            budgets[seed, fraction] = budget
    if earlier is None:
        manifest = study_manifest(config, data.spec, data.tiles, budgets.values())
        write_manifest(folder / MANIFEST, manifest)
    return budgets


def _refuse_changes(config: StudyConfig, data: StudyData, earlier: Mapping[str, Any]) -> None:
    changes = config.changes(earlier["config"])
    changes += [
        f"{split} tiles: {before[:12]}… -> {data.tiles[split].checksum[:12]}…"
        for split, before in earlier["dataset"]["checksums"].items()
        if data.tiles[split].checksum != before
    ]
    if changes:
        raise ConfigError(
            f"--name must be new when the study changes, got {config.name!r}, which was begun with "
            f"other settings ({'; '.join(changes)}); choose another --name"
        )
