"""What a study would do and how long it would take, for `--dry-run`."""

from __future__ import annotations

import math
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from contract.names import MANIFEST
from study.design.arms import (
    Arm,
    confirm_seeds,
    confirm_trial,
    longest_first,
    num_trials,
    plan_arms,
)
from study.design.budgets.drawing import distinct_arms, draw_budgets
from study.design.budgets.notes import equal_notes, missing_class_lines, share_lines
from study.design.budgets.study_budgets import Budgets
from study.design.detectable import detectable_text
from study.design.growth import asked_looks, last_tested, looks_note
from study.design.manifest import read_manifest
from study.design.preflight import SCENES, check_output, find_dataset, read_data, required_disk_mib
from study.design.preparation import (
    check_networks,
    compute_lines,
    refuse_changes,
    resolve_compute,
    resolve_steps,
)
from study.estimate.calibration import Calibration, calibrate
from study.estimate.slot_schedule import ArmWork, schedule_s
from study.machines.slots import Slots, find_slots, this_machine
from study.settings.config import StudyConfig
from trainables.settings.config import TrialConfig, training_fields
from trainables.trial.folder.outcomes import read_outcome
from trainables.trial.microbenchmark import take_sample

_IDLE_SHARE: Final = 0.85
"""From here on what else the machine does is worth no word."""
_GROUP_STARTS: Final = 2
"""Starts of processes, one after the other, before a group trains: what leads it, its workers."""


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """What reading the data and the calibration run told."""

    config: StudyConfig
    """The study, its epochs replaced by steps."""
    read_s: float
    budgets: Budgets
    class_names: tuple[str, ...]
    calibration: Calibration | None
    """None where trials train on cards and this machine has none."""


def plan_text(config: StudyConfig) -> str:
    """Arms, trials, steps, disk and estimated time; nothing is written to the output folder.

    Raises:
        ConfigError: If not one trial fits the machine, the disk does not hold the study, or it was
            begun otherwise.
        DataError: If the data cannot be used.
    """
    arms, slots = plan_arms(config), _find_slots(config)
    check_output(config, 0 if config.storage else slots.concurrent, len(arms) * config.seeds)
    seed = confirm_seeds(config)[0]
    trials = {arm.variant.short_label: confirm_trial(config, arm, seed, {}) for arm in arms}
    measured = _measure(config, trials, slots)
    arms = distinct_arms(arms, measured.budgets)
    lines = [f"study {config.name}, preset {config.preset}, to {config.folder}"]
    longest = max(len(arm.name) for arm in arms)
    for arm in arms:
        searched = ", ".join(one.text for one in arm.searched) or "nothing to search"
        search = f"{_search_text(arm)} + " if arm.searched else ""
        lines.append(f"  {arm.name:<{longest}} {search}{config.seeds_now} confirm ({searched})")
    looks = asked_looks(config, read_manifest(config.folder / MANIFEST))
    note = looks_note(config, looks)
    lines += [] if note is None else [note]
    lines += [f"  {note}" for note in equal_notes(measured.budgets)]
    lines += share_lines(config, measured.budgets)
    lines += [f"  {line}" for line in missing_class_lines(measured.budgets, measured.class_names)]
    training = measured.config.training
    epochs = "" if training.epochs is None else f" ({training.epochs} epochs)"
    equal = compute_lines(measured.config)
    disk_mib = required_disk_mib(config, slots.concurrent, len(arms) * config.seeds)
    lines += [
        f"{num_trials(config, arms)} trials of {training.steps} steps{epochs}"
        f"{' of the costliest' if equal else ''} with {training.batch_size} patches, "
        f"{slots.concurrent} at once",
        *equal,
        f"a trial takes {_resources_text(config, slots)}",
        _time_text(measured, arms, slots),
        *_done_lines(measured, arms, slots),
        *filter(None, [detectable_text(config, last_tested(looks))]),
        f"disk for checkpoints: at most {disk_mib:.0f} MiB" + _free_text(config),
    ]
    return "\n".join(lines)


def _search_text(arm: Arm) -> str:
    """`6 search`, or `18 search (6 settings, 3 seeds each)`."""
    num_seeds = len(arm.search_seeds)
    each = "" if num_seeds == 1 else f" ({arm.num_search} settings, {num_seeds} seeds each)"
    return f"{arm.num_search_trials} search{each}"


def _find_slots(config: StudyConfig) -> Slots:
    """The slots of this machine, or of the cluster, which is joined for a moment."""
    if config.address is None:
        return find_slots(config)
    from study.machines.cluster import (  # imports Ray, which takes seconds
        cluster_nodes,
        ray_cluster,
    )

    with ray_cluster(config.address):
        return find_slots(config, cluster_nodes())


def about_text(seconds: float) -> str:
    """A duration in two digits: `8.4 s`, `4.3 min`, `27 h`, `3.1 days`."""
    for unit, length_s, up_to in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < up_to * length_s:
            return f"{_two_digits(seconds / length_s)} {unit}"
    return f"{_two_digits(seconds / 86400)} days"


def _two_digits(value: float) -> str:
    if value <= 0:
        return "0"
    decimals = max(0, 1 - math.floor(math.log10(value)))
    rounded = round(value, 1 - math.floor(math.log10(value)))
    return f"{rounded:.{decimals}f}".removesuffix(".0")


def _measure(config: StudyConfig, trials: Mapping[str, TrialConfig], slots: Slots) -> _Measured:
    """Read the data as the study will, and train on some of it."""
    with tempfile.TemporaryDirectory(prefix="dry-run-") as name:
        scratch = Path(name)
        _borrow_scenes(config, scratch)
        elsewhere = replace(config, output=name)
        _say("reading the built-in scenes" if config.data is None else "reading tiles")
        start = time.perf_counter()
        spec = find_dataset(elsewhere)
        data = read_data(elsewhere, spec)
        read_s = time.perf_counter() - start
        for note in data.notes:
            _say(f"note: {note}")
        config = resolve_steps(config, data)
        check_networks(config, plan_arms(config), data)
        config = resolve_compute(config, data)
        earlier = read_manifest(config.folder / MANIFEST)
        if earlier is not None:
            refuse_changes(config, data, earlier)
        budgets = draw_budgets(config, data, earlier)
        names = tuple(one.name for one in spec.classes)
        told = partial(_Measured, config=config, read_s=read_s, budgets=budgets, class_names=names)
        if slots.gpus > 0 and not this_machine().num_gpus:
            return told(calibration=None)
        sample = take_sample(data.tiles, data.scaling, names, scratch / "sample")
        _say(f"calibrating: training {' and '.join(trials)} for some seconds each")
        calibration = calibrate(
            trials,
            sample,
            num_processes=_num_here(config, slots),
            cpus=config.cpus,
            num_gpus=int(this_machine().num_gpus) if slots.gpus > 0 else 0,
        )
        return told(calibration=calibration)


def _num_here(config: StudyConfig, slots: Slots) -> int:
    """Processes of trials that would train at once on a machine like this one."""
    fits = max(1, int(this_machine().num_cpus / config.cpus))
    return min(fits, slots.concurrent * slots.group)


def _borrow_scenes(config: StudyConfig, scratch: Path) -> None:
    """Show scenes that an earlier study wrote below another folder, where others can be written."""
    written = (Path(config.output) / SCENES).resolve()
    if config.data is None and written.is_dir():
        (scratch / SCENES).parent.mkdir()
        (scratch / SCENES).symlink_to(written)


def _time_text(measured: _Measured, arms: tuple[Arm, ...], slots: Slots) -> str:
    config, found = measured.config, measured.calibration
    if found is None:
        return (
            "estimated time: unknown, since trials train on GPUs and this machine has none; repeat "
            "--dry-run on one that has"
        )
    total_s, of_trial = _estimate(config, measured.read_s, found, arms, slots)
    trials = ", ".join(f"{label} {about_text(taken)}" for label, taken in of_trial.items())
    pruned = "" if config.pruner == "none" else "without pruning "
    text = (
        f"estimated time: {pruned}about {about_text(total_s)} ({trials} a trial{_sizes(config)}), "
        f"from a calibration run of {about_text(found.taken_s)}"
    )
    if found.share > _IDLE_SHARE:
        return text
    idle_s, _ = _estimate(config, measured.read_s, found.idle(), arms, slots)
    other = f"{_two_digits(100 * (1 - found.share))} %"
    # At most: other work also empties the caches, which no share of the time shows.
    without = f"at most {about_text(idle_s)} without"
    return f"{text} beside other work, which took {other} of the CPUs; {without}"


def _estimate(
    config: StudyConfig,
    read_s: float,
    found: Calibration,
    arms: tuple[Arm, ...],
    slots: Slots,
    done: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[float, dict[str, float]]:
    """Seconds of the study, and of one confirmation trial by the variant's label.

    Args:
        config: The study.
        read_s: What reading the data takes.
        found: What the calibration run found.
        arms: Of the study.
        slots: Where its trials run.
        done: Search and confirmation trials that have ended, by arm; None for the whole study.
    """
    work, of_trial = [], {}

    def trial_s(label: str, trial: TrialConfig) -> float:
        alone_s = found.trial_s(label, trial)
        if not config.worker_range[1]:
            return alone_s
        return alone_s / slots.group + _GROUP_STARTS * found.start_s

    for arm in longest_first(config, arms):
        confirm = confirm_trial(config, arm, confirm_seeds(config)[0], {})
        label = arm.variant.short_label
        of_trial[label] = trial_s(label, confirm)
        searched, confirmed = (0, 0) if done is None else done[arm.name]
        work.append(
            ArmWork(
                num_search=arm.num_search_trials - searched,
                search_s=trial_s(label, replace(confirm, phase="search")),
                num_confirm=config.seeds_now - confirmed,
                confirm_s=of_trial[label],
            )
        )
    total_s = read_s + found.fixed_s + schedule_s(work, slots.concurrent)
    return total_s, of_trial


def _resources_text(config: StudyConfig, slots: Slots) -> str:
    several = f"{slots.group} workers with " if config.worker_range[1] else ""
    gpus = f" and {slots.gpus:g} of {slots.num_gpus:g} GPUs" if slots.num_gpus else ""
    text = f"{several}{config.cpus:g} of {slots.num_cpus:g} CPUs{gpus}{' each' if several else ''}"
    if slots.group > 1:
        text += ", which share its time at best"
    return text if slots.num_gpus else f"{text}; there is no GPU"


def _done_lines(measured: _Measured, arms: tuple[Arm, ...], slots: Slots) -> list[str]:
    """What of a study that has begun is left; nothing of one that has not."""
    config, found = measured.config, measured.calibration
    done = {arm.name: _num_done(config, arm) for arm in arms}
    num_done, num_all = sum(map(sum, done.values())), num_trials(config, arms)
    if not num_done:
        return []
    num_left_out = 0
    for arm in arms:
        searched, confirmed = done[arm.name]
        if not confirmed and searched == arm.num_search_trials and not _has_choice(config, arm):
            done[arm.name] = searched, config.seeds_now
            num_left_out += config.seeds_now
    said = f"{num_done} of {num_all} trials are done"
    if num_left_out:
        said += f", {num_left_out} are left out: no search trial of their arm finished"
    if found is None or num_done + num_left_out == num_all:
        return [said]
    left_s, _ = _estimate(config, measured.read_s, found, arms, slots, done)
    return [f"{said}; what is left takes about {about_text(left_s)}"]


def _num_done(config: StudyConfig, arm: Arm) -> tuple[int, int]:
    """Search and confirmation trials of an arm that have ended and are not tried again."""
    search = [
        arm.search_key(number, seed)
        for number in range(arm.num_search)
        for seed in arm.search_seeds
    ]
    seeds = confirm_seeds(config)[: config.seeds_now]
    confirm = [confirm_trial(config, arm, seed, {}).key for seed in seeds]
    searched, confirmed = (
        sum(
            outcome is not None and not outcome.goes_on
            for outcome in (read_outcome(config.trials_folder / key) for key in keys)
        )
        for keys in (search, confirm)
    )
    return searched, confirmed


def _has_choice(config: StudyConfig, arm: Arm) -> bool:
    """Whether a search that has ended left something to confirm; as from `ArmSearch`."""
    if not arm.searched:
        return True
    return any(
        all(
            outcome is not None and outcome.state == "finished"
            for outcome in (
                read_outcome(config.trials_folder / arm.search_key(number, seed))
                for seed in arm.search_seeds
            )
        )
        for number in range(arm.num_search)
    )


def _free_text(config: StudyConfig) -> str:
    if config.storage is not None:
        return " in the storage"
    return f", {_free_mib(config.folder):.0f} free"


def _free_mib(folder: Path) -> float:
    """Free on the disk where the folder is or will be."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 2**20


def _sizes(config: StudyConfig) -> str:
    """Says at which values trials were measured, where the search changes what they take."""
    at = [
        f"{one.name} {getattr(config.training, one.name):g}"
        for one in config.searched
        if one.parameter.takes_time and one.name in training_fields()
    ]
    return f" at {', '.join(at)}" if at else ""


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
