"""What is fixed before the first trial: the steps, the budgets and `study.yaml`."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from contract.names import BUDGETS, MANIFEST, TEST_TILES, budget_stem
from contract.parameters import Value, value_text
from contract.wording import flop_text, listed
from study.design.arms import Arm, confirm_trial, plan_arms, search_trial
from study.design.budgets.drawing import draw_budgets
from study.design.budgets.notes import equal_notes, missing_class_lines
from study.design.budgets.study_budgets import Budgets
from study.design.compute import flop_of_step
from study.design.growth import asked_looks, grown, recorded_checksum
from study.design.manifest import (
    compute_manifest,
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
from study.settings.equal import ComputeBudget
from trainables.data.budgets.annotation import Budget, has_joined_blocks, read_budget, write_budget
from trainables.data.budgets.picture import budget_picture
from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.patches.positions import patch_grid
from trainables.data.tilesets.tile_changes import changed_files, tile_checksums
from trainables.errors import ConfigError, DataError
from trainables.evaluation.tile_maps import write_test_tiles
from trainables.networks.own import check_network
from trainables.storage.atomic_files import write_atomically

_SCORED: Final = ("bands", "classes", "exclude_from_mean", "scaling", "eroded_reference")
"""What scores depend on in a data set besides its tiles."""


def resolve_steps(config: StudyConfig, data: StudyData) -> StudyConfig:
    """Replace epochs by optimiser steps: epochs x patches of the grid / batch size.

    Patches of tiles that nobody annotated do not count: more imagery is not more steps.
    """
    training = config.training
    if training.epochs is None:
        return config
    tiles = data.tiles["train"]
    is_labelled = np.array([name not in data.unlabelled for name in tiles.names])
    grid = patch_grid(tiles, training.patch_px, training.stride_px)
    patches = int(is_labelled[grid[:, 0].numpy()].sum())
    steps = training.epochs * -(-patches // training.batch_size)
    return replace(config, training=replace(training, steps=steps))


def resolve_compute(config: StudyConfig, data: StudyData) -> StudyConfig:
    """Fix what every trial spends, where that is equal: what the costliest variant takes.

    It is counted at the values that are not searched, in the steps of the study; whatever a search
    then tries has to do with as much.

    Args:
        config: The study, its epochs replaced by steps.
        data: Its data set.

    Raises:
        ConfigError: If a trial would have too few steps.
    """
    if config.equal != "compute":
        return config
    sizes = {"num_bands": len(data.spec.bands), "num_classes": len(data.spec.classes)}
    arms = _arm_of_each_variant(plan_arms(config))
    costliest = max(flop_of_step(confirm_trial(config, arm, 0, {}), **sizes) for arm in arms)
    budget = ComputeBudget(flop=costliest * config.training.steps, **sizes)
    config = replace(config, compute=budget)
    for arm in arms:
        for values in _extremes(arm):
            try:
                search_trial(config, arm, 0, values)
            except ConfigError as error:
                at = "".join(f", {name} {value_text(value)}" for name, value in values.items())
                raise ConfigError(
                    f"--equal compute must leave every trial steps enough, got {error} for "
                    f"{arm.variant.label}{at}, which spends what the costliest variant takes in "
                    f"{config.training.steps} steps; raise steps, or leave out of --space what "
                    "makes a step take so much more"
                ) from None
    return config


def compute_lines(config: StudyConfig) -> list[str]:
    """What every trial spends and how many steps that is; none where steps are equal."""
    compute = compute_manifest(config)
    if compute is None:
        return []
    labels = {one.name: one.short_label for one in config.variants}
    searched = [one.name for one in config.searched if one.parameter.takes_time]
    at = f"; {listed(searched)} as in the preset, and other values get other steps" * bool(searched)
    return [
        f"every trial spends {flop_text(compute['flop'])} in training, forward and backward{at}",
        *(
            f"  {labels[one['name']]}: {one['steps']} steps of {flop_text(one['flop_per_step'])}"
            for one in compute["variants"]
        ),
    ]


def _arm_of_each_variant(arms: Sequence[Arm]) -> list[Arm]:
    return list({arm.variant.name: arm for arm in arms}.values())


def _extremes(arm: Arm) -> Iterator[dict[str, Value]]:
    """The searched values of an arm at all combinations of the ends of what takes time."""
    sizes = [
        one
        for one in arm.searched
        if one.parameter.takes_time or one.parameter in arm.method.parameters
    ]
    for ends in itertools.product(*(one.extremes for one in sizes)):
        yield dict(zip((one.name for one in sizes), ends, strict=True))


def check_networks(config: StudyConfig, arms: Sequence[Arm], data: StudyData) -> None:
    """Try somebody's own network in every variant, at the ends of what changes its size.

    Raises:
        ConfigError: If one could not be trained.
    """
    for arm in _arm_of_each_variant(arms):
        for values in _extremes(arm):
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
        _keep_budget(config, data, budget, pixels, earlier)
    if earlier is None and (folder / TEST_TILES).exists():
        # of a study that never began, perhaps of other tiles
        shutil.rmtree(folder / TEST_TILES)
    write_test_tiles(folder / TEST_TILES, data.tiles["test"], colors, data.scaling)
    manifest = study_manifest(config, data, budgets)
    if earlier is None:
        tiles = {split: tile_checksums(held) for split, held in data.tiles.items()}
        write_manifest(folder / MANIFEST, manifest | {"tiles": tiles})
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
    config: StudyConfig,
    data: StudyData,
    budget: Budget,
    pixels: PixelSet,
    earlier: Mapping[str, Any] | None,
) -> None:
    """Write manifest and picture of a budget, or verify what an earlier run wrote.

    Where its file is gone, `study.yaml` (`earlier`, None for a new study) has its checksum.

    Raises:
        DataError: If it wrote another one.
    """
    stem = budget_stem(budget.seed, budget.fraction_asked, budget.split, budget.unit.order)
    path = config.folder / BUDGETS / f"{stem}.json"
    is_new = earlier is None
    if is_new or not path.exists():
        if recorded_checksum(earlier or {}, budget) not in (None, budget.checksum):
            raise DataError(
                f"{path} must be the budget on record in {MANIFEST}, got another one now that the "
                "file is gone; put the file back, or choose another --name"
            )
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
        + _changed_files(data, split, earlier)
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
    if any(
        has_joined_blocks(data.tiles[split], config.unit) and not one.get("joined_blocks", False)
        for split, key in (("train", "budgets"), ("val", "val_budgets"))
        for one in earlier.get(key, ())
    ):
        changes.append(
            "less than half a block at the edges of tiles: blocks of their own -> part of their "
            "neighbours, which drawing gives now"
        )
    compute = compute_manifest(config)
    if earlier.get("compute") != compute and earlier["config"].get("equal") == config.equal:
        changes.append(f"compute: {earlier.get('compute')} -> {compute}")
    now = dataset_manifest(data)
    changes += [
        f"{name}: {earlier['dataset'].get(name)} -> {now[name]}"
        for name in _SCORED
        if earlier["dataset"].get(name) != now[name]
    ]
    if changes:
        raise ConfigError(
            f"--name must be new when the study changes, got {config.name!r}, which was begun with "
            f"other settings ({'; '.join(changes)}); choose another --name, or go on with it as it "
            f"was begun: --config {config.folder / MANIFEST}"
        )
    asked_looks(config, earlier)


def _changed_files(data: StudyData, split: str, earlier: Mapping[str, Any]) -> str:
    """The files of a split that changed, in brackets; "" where the record does not tell."""
    before = earlier.get("tiles", {}).get(split)
    names = earlier["dataset"].get("splits", {}).get(split, before or ())
    said = changed_files(data.tiles[split], data.spec.splits[split], names, before)
    return f" ({said})" if said else ""


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
    said = [*equal_notes(budgets), *missing_class_lines(budgets, class_names)]
    for budget, _ in budgets.all():
        what = "budget" if budget.split == "train" else "validation budget"
        order = "" if budget.unit.order == "random" else f" in {budget.unit.order} order"
        where = f"{what} of {budget.fraction_asked:g} with seed {budget.seed}{order}"
        if budget.exceeds:
            said.append(
                f"{where} is one {budget.unit.kind} and reaches {budget.fraction_reached:.3g}: "
                "even the smallest exceeds what was asked for"
            )
    return said
