"""What is fixed before the first trial: the steps, the budgets and `study.yaml`."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from contract.names import BUDGETS, MANIFEST, TEST_TILES, budget_stem
from study.design.arms import Arm, search_trial
from study.design.budgets import Budgets, draw_budgets, equal_notes
from study.design.growth import asked_looks, grown
from study.design.manifest import (
    dataset_manifest,
    method_manifest,
    note_continuation,
    read_manifest,
    remove_login,
    study_manifest,
    write_manifest,
)
from study.design.preflight import StudyData
from study.settings.config import StudyConfig
from trainables.data.budgets.annotation import Budget, read_budget, write_budget
from trainables.data.budgets.picture import budget_picture
from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.patches.positions import patch_grid
from trainables.errors import ConfigError, DataError
from trainables.evaluation.tile_maps import write_test_tiles
from trainables.networks.own import check_network
from trainables.storage.atomic_files import write_atomically

_SCORED: Final = ("bands", "classes", "exclude_from_mean", "scaling", "eroded_reference")
"""What scores depend on in a data set besides its tiles."""


def resolve_steps(config: StudyConfig, data: StudyData) -> StudyConfig:
    """Replace epochs by optimiser steps: epochs x patches of the grid / batch size."""
    training = config.training
    if training.epochs is None:
        return config
    patches = len(patch_grid(data.tiles["train"], training.patch_px, training.stride_px))
    steps = training.epochs * -(-patches // training.batch_size)
    return replace(config, training=replace(training, steps=steps))


def check_networks(config: StudyConfig, arms: Sequence[Arm], data: StudyData) -> None:
    """Try somebody's own network in every variant, at the ends of what changes its size.

    Raises:
        ConfigError: If one could not be trained.
    """
    for arm in {arm.variant.name: arm for arm in arms}.values():
        sizes = [
            one
            for one in arm.searched
            if one.parameter.takes_time or one.parameter in arm.method.parameters
        ]
        for ends in itertools.product(*(one.extremes for one in sizes)):
            values = dict(zip((one.name for one in sizes), ends, strict=True))
            training = search_trial(config, arm, 0, values).training
            check_network(arm.method, training, len(data.spec.bands), len(data.spec.classes))


def prepare(config: StudyConfig, data: StudyData) -> Budgets:
    """Write `study.yaml` and the budgets, or verify those of an earlier run under this name.

    Pictures of the test tiles are written too, for the report. Where more seeds are asked for than
    the study had, their budgets are added.

    Raises:
        ConfigError: If the configuration changed under an old name, or as in `draw_budgets`.
        DataError: If tiles or budgets changed under an old name.
    """
    folder = config.folder
    earlier = read_manifest(folder / MANIFEST)
    if earlier is None:
        asked_looks(config, None)
    else:
        refuse_changes(config, data, earlier)
        earlier = remove_login(folder / MANIFEST, earlier)
    colors = [one.color for one in data.spec.classes]
    budgets = draw_budgets(config, data, earlier)
    for budget, pixels in budgets.all():
        _keep_budget(config, data, budget, pixels, is_new=earlier is None)
    if earlier is None and (folder / TEST_TILES).exists():
        # of a study that never began, perhaps of other tiles
        shutil.rmtree(folder / TEST_TILES)
    write_test_tiles(folder / TEST_TILES, data.tiles["test"], colors, data.scaling)
    manifest = study_manifest(config, data, budgets)
    if earlier is None:
        write_manifest(folder / MANIFEST, manifest)
    else:
        now = grown(earlier, config, manifest)
        if now != earlier:
            write_manifest(folder / MANIFEST, now)
        note_continuation(folder / MANIFEST, now)
    return budgets


def refuse_another(config: StudyConfig, data: StudyData) -> None:
    """Refuse to touch what lies under the name before it is known to be of this study.

    Raises:
        ConfigError: If a study was begun there otherwise, or its `study.yaml` is damaged.
    """
    earlier = read_manifest(config.folder / MANIFEST)
    if earlier is not None:
        refuse_changes(config, data, earlier)


def _keep_budget(
    config: StudyConfig, data: StudyData, budget: Budget, pixels: PixelSet, *, is_new: bool
) -> None:
    """Write manifest and picture of a budget, or verify what an earlier run wrote.

    Raises:
        DataError: If it wrote another one.
    """
    stem = budget_stem(budget.seed, budget.fraction_asked, budget.split)
    path = config.folder / BUDGETS / f"{stem}.json"
    if is_new or not path.exists():
        write_budget(path, budget)
    elif read_budget(path) != budget:
        raise DataError(f"{path} must be the budget of these tiles, got another one")
    picture = path.with_suffix(".png")
    if is_new or not picture.exists():
        colors = [one.color for one in data.spec.classes]
        drawn = budget_picture(data.tiles[budget.split], pixels, colors, data.scaling)
        write_atomically(picture, drawn)


def refuse_changes(config: StudyConfig, data: StudyData, earlier: Mapping[str, Any]) -> None:
    """Refuse to go on with a study that was begun otherwise.

    Args:
        config: As it is now.
        data: As they are now.
        earlier: Content of `study.yaml`.

    Raises:
        ConfigError: With everything that changed; or if fewer seeds are asked for than it has.
    """
    changes = config.changes(earlier["config"])
    if earlier["config"].get("storage") and config.storage is None:
        changes.append("storage: given -> none, so that checkpoints would be lost")
    changes += [
        f"{split} tiles: {before[:12]}… -> {data.tiles[split].checksum[:12]}…"
        for split, before in earlier["dataset"]["checksums"].items()
        if data.tiles[split].checksum != before
    ]
    begun = {one["name"]: one for one in earlier.get("methods", ())}
    changes += [
        _method_change(begun[name], method)
        for name, method in ((one.name, method_manifest(one)) for one in config.methods)
        if begun.get(name, method) != method
    ]
    if config.unit.kind == "point" and any(
        one.get("labels", "reference") == "reference"
        for one in earlier.get("budgets", ())
        if one["fraction_asked"] < 1
    ):
        changes.append("labels of points: of the mask -> of the click, which drawing gives now")
    now = dataset_manifest(data)
    changes += [
        f"{name}: {earlier['dataset'].get(name)} -> {now[name]}"
        for name in _SCORED
        if earlier["dataset"].get(name) != now[name]
    ]
    if changes:
        raise ConfigError(
            f"--name must be new when the study changes, got {config.name!r}, which was begun with "
            f"other settings ({'; '.join(changes)}); choose another --name"
        )
    asked_looks(config, earlier)


def _method_change(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What a method was and is; of encoders that differ in their content their checksums."""
    encoders = [dict(one.get("encoder") or {}) for one in (before, now)]
    if all(encoders) and {**before, "encoder": encoders[1]} == now:
        was, has = (str(one.get("checksum"))[:12] for one in encoders)
        if was != has:
            return f"encoder of {now['name']}: {was}… -> {has}…"
    return f"method {now['name']}: {before} -> {now}"


def budget_warnings(budgets: Budgets, class_names: Sequence[str]) -> list[str]:
    """What a person must know of the budgets: equal ones, classes missing, fractions exceeded."""
    said = equal_notes(budgets)
    for budget, _ in budgets.all():
        what = "budget" if budget.split == "train" else "validation budget"
        where = f"{what} of {budget.fraction_asked:g} with seed {budget.seed}"
        if budget.empty_classes:
            names = ", ".join(class_names[index] for index in budget.empty_classes)
            said.append(f"{where} has no annotated pixel of {names}")
        if budget.exceeds:
            said.append(
                f"{where} is one {budget.unit.kind} and reaches {budget.fraction_reached:.3g}: "
                "even the smallest exceeds what was asked for"
            )
    return said
