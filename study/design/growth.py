"""A study of which more seeds are asked than it had: what goes on, and what is on record of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from contract.names import MANIFEST
from contract.protocol.looks import Look, extend, looks_text, next_tested, plan_looks, read_looks
from contract.protocol.power import LEVEL
from study.design.manifest import ADVICE, read_manifest
from study.settings.checks import parse_seeds
from study.settings.config import StudyConfig
from trainables.errors import ConfigError


def recorded_looks(manifest: Mapping[str, Any], where: str) -> tuple[Look, ...]:
    """The looks of a study that has begun; one of an earlier version had one, at its end.

    Args:
        manifest: Content of `study.yaml`.
        where: The file, for messages.

    Raises:
        ConfigError: If they are damaged.
    """
    listed = manifest.get("looks")
    try:
        if listed is None:
            return (Look(seeds=parse_seeds(manifest["config"].get("seeds", ""))[-1], level=LEVEL),)
        looks = read_looks(listed)
    except ValueError as error:
        raise ConfigError(f"{error} in {where}; {ADVICE}") from None
    return looks


def asked_looks(config: StudyConfig, earlier: Mapping[str, Any] | None) -> tuple[Look, ...]:
    """The looks of the study as it is asked for now, those on record first.

    Args:
        config: As it is now.
        earlier: Content of `study.yaml`; None for a study that has not begun.

    Raises:
        ConfigError: If fewer seeds are asked for than the study has, a look in between that was not
            planned, or an end of this run that is no look.
    """
    if earlier is None:
        looks = plan_looks(config.planned_looks)
    else:
        looks = recorded_looks(earlier, str(config.folder / MANIFEST))
        known = [look.seeds for look in looks]
        _refuse_fewer(config, known)
        new = [seeds for seeds in config.planned_looks if seeds > known[-1]]
        unknown = [one for one in config.planned_looks if one < known[-1] and one not in known]
        if unknown:
            raise ConfigError(
                f"--seeds must keep the looks {_numbers(known)} of the study {config.name!r}, got "
                f"one at {_numbers(unknown)}; looks are planned before the first trial"
            )
        if new:
            looks = extend(looks, new, datetime.now(UTC).isoformat(timespec="seconds"))
    seeds = [look.seeds for look in looks]
    if config.look is not None and config.look not in seeds:
        raise ConfigError(f"--look must be one of {_numbers(seeds)}, got {config.look}")
    return looks


def _refuse_fewer(config: StudyConfig, known: Sequence[int]) -> None:
    if config.seeds < known[-1]:
        stop = f", and --look {config.seeds} to end there" * (config.seeds in known)
        raise ConfigError(
            f"--seeds must be at least the {known[-1]} that the study {config.name!r} has, got "
            f"{config.seeds}; write --seeds {known[-1]} to go on with them{stop}"
        )


def grown(
    earlier: Mapping[str, Any], config: StudyConfig, now: Mapping[str, Any]
) -> dict[str, Any]:
    """Content of `study.yaml` with the seeds that are asked for now.

    Args:
        earlier: Content as it is.
        config: As it is now.
        now: Content as `manifest.study_manifest` gives it, with the budgets of all seeds.

    Returns:
        The same where nothing is added. Budgets on record stay as they are.
    """
    looks = asked_looks(config, earlier)
    if len(looks) == len(recorded_looks(earlier, str(config.folder / MANIFEST))):
        return dict(earlier)
    budgets = {name: _grown_budgets(earlier, now, name) for name in ("budgets", "val_budgets")}
    return {
        **earlier,
        "config": {**earlier["config"], "seeds": config.to_plain()["seeds"]},
        "looks": [look.to_plain() for look in looks],
        **{name: all_of_them for name, all_of_them in budgets.items() if all_of_them},
    }


def _grown_budgets(
    earlier: Mapping[str, Any], now: Mapping[str, Any], name: str
) -> list[Mapping[str, Any]]:
    kept = list(earlier.get(name, ()))
    known = set(map(_which, kept))
    return kept + [one for one in now[name] if _which(one) not in known]


def _which(budget: Mapping[str, Any]) -> tuple[int, float, str]:
    """Seed, fraction and order of a budget on record; earlier versions knew one order alone."""
    return budget["seed"], budget["fraction_asked"], budget.get("order", "random")


def looks_note(config: StudyConfig, looks: Sequence[Look]) -> str | None:
    """What a person should know of the looks of a study.

    None for one look that was planned, and is the end of this run.
    """
    added = [look for look in looks if not look.is_planned]
    said = []
    if len(looks) - len(added) > 1:
        said.append(f"the study has {looks_text([look for look in looks if look.is_planned])}")
    for look in added:
        text = f"a look at {look.seeds} seeds was not planned but added after {look.after}"
        if look.level:
            text += (
                f", which could have shown nothing: findings may spend {look.level:.2g} of the "
                f"level {LEVEL:g} there"
            )
        elif (later := next_tested(look, looks)) is not None:
            text += (
                "; so few can show nothing and spend nothing, and count in findings from "
                f"{later.seeds} on"
            )
        else:
            text += "; its new seeds count in means, and findings stay those of the looks before"
        said.append(text)
    if config.seeds_now < looks[-1].seeds:
        said.append(
            f"this run ends at the look at {config.seeds_now} seed{'s' * (config.seeds_now > 1)}; "
            "the same command without --look goes on"
        )
    return "; ".join(said) or None


def look_seeds(config: StudyConfig, looks: Sequence[Look]) -> tuple[int, ...]:
    """The last seed of every look that this run is to reach: trials are served look by look."""
    return tuple(config.seed + look.seeds for look in looks if look.seeds <= config.seeds_now)


def last_tested(looks: Sequence[Look]) -> Look:
    """The last look whose tests may spend something: what the study can show at its end."""
    return [look for look in looks if look.level > 0.0][-1]


def looks_of(config: StudyConfig) -> tuple[Look, ...]:
    """The looks of a study whose `study.yaml` is written."""
    path = config.folder / MANIFEST
    manifest = read_manifest(path)
    assert manifest is not None, path
    return recorded_looks(manifest, str(path))


def _numbers(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
