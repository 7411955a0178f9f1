"""What a study would do, for `--dry-run`."""

from __future__ import annotations

from study.arms import num_trials, plan_arms
from study.config import StudyConfig
from study.preflight import find_slots, required_disk_mib


def plan_text(config: StudyConfig) -> str:
    """Arms, trials, steps and disk, one line each; nothing is read or written."""
    arms, slots = plan_arms(config), find_slots(config)
    lines = [f"study {config.name}, preset {config.preset}, to {config.folder}"]
    for arm in arms:
        searched = ", ".join(one.text for one in arm.searched) or "nothing to search"
        lines.append(
            f"  {arm.name:<12} {arm.num_search} search + {config.seeds} confirm ({searched})"
        )
    training = config.training
    work = f"{training.steps} steps" if training.epochs is None else f"{training.epochs} epochs"
    disk_mib = required_disk_mib(config, slots.concurrent, len(arms) * config.seeds)
    lines += [
        f"{num_trials(config, arms)} trials of {work} with {training.batch_size} patches, "
        f"{slots.concurrent} at once",
        f"disk for checkpoints: at most {disk_mib:.0f} MiB",
    ]
    return "\n".join(lines)
