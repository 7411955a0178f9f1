"""Rules of single options: names, choices, types, workers and where they run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from contract.mlflow_store.logins import hide_logins
from trainables.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WORKERS: Final = re.compile(r"(\d+)(?:\s*\.\.\s*(\d+))?")


_PRICES: Final = ("per_px", "per_object", "per_border_m", "per_tile")
SEARCH_SEEDS_APART: Final = 1_000_000
"""Most confirmation seeds: the seeds of a search, but for its first, lie beyond them all."""
_LOWEST: Final = {"trials": 1, "seeds": 1, "look": 1, "search_seeds": 1, "seed": 0,
                  "concurrent": 1, "retries": 0}  # fmt: skip


def check_name(name: str) -> None:
    """Refuse a name that could not be a folder's."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name must be letters, digits, '.', '_' and '-', beginning with a letter or digit, "
            f"got {name!r}; the folder to write to is set by --output"
        )


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise ConfigError(f"{option} must be one of {', '.join(choices)}, got {value!r}")


def check_types(chosen: Mapping[str, Any]) -> None:
    """Refuse an option of the wrong type, as a YAML file may bring it."""
    kinds: dict[str, tuple[type, ...]] = {
        **dict.fromkeys(
            ("space", "compare", "data", "preset", "sampler", "pruner", "name"), (str,)
        ),
        **dict.fromkeys(("address", "storage", "tracking_uri", "output", "budget_unit"), (str,)),
        "equal": (str,),
        **dict.fromkeys(
            ("trials", "search_seeds", "seed", "look", "concurrent", "retries"), (int,)
        ),
        **dict.fromkeys(("gpus", "cpus", "tile_memory_mib", "checkpoint_every_s"), (int, float)),
        "workers": (int, str),
        "seeds": (int, str, list, tuple),
        "val_frac": (str, int, float),
        "budget_px": (int,),
        "budget_stratified": (bool,),
        "budget_lists": (str, dict),
        "cost": (dict,),
        "profile": (bool,),
        "models": (list, tuple),
    }
    for name, value in chosen.items():
        kind = kinds.get(name)
        if kind and (not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind)):
            words = " or ".join(one.__name__ for one in kind)
            got = hide_logins(repr(value))
            raise ConfigError(f"{name} must be of type {words}, got {got}")


def check_numbers(options: Mapping[str, Any]) -> None:
    """Refuse numbers that none of these options can have; None is not given."""
    for name, low in _LOWEST.items():
        value = options[name]
        if value is not None and value < low:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option} must be at least {low}, got {value!r}")
    for name in ("seeds", "search_seeds"):
        if options[name] > SEARCH_SEEDS_APART:
            raise ConfigError(
                f"--{name.replace('_', '-')} must be at most {SEARCH_SEEDS_APART}, got "
                f"{options[name]!r}"
            )
    for name in ("cpus", "gpus"):
        value = options[name]
        if value is None:
            continue
        if not math.isfinite(value) or value < 0 or (name == "cpus" and value == 0):
            raise ConfigError(f"--{name} must be a positive number, got {value!r}")
    if not 0 <= options["checkpoint_every_s"] < math.inf:
        raise ConfigError(
            f"checkpoint_every_s must be a number from 0, got {options['checkpoint_every_s']!r}"
        )
    memory_mib = options["tile_memory_mib"]
    if memory_mib is not None and not memory_mib > 0:
        raise ConfigError(f"tile_memory_mib must be a positive number, got {memory_mib!r}")


def parse_workers(text: int | str) -> tuple[int, int]:
    """Lowest and highest number of workers: `4` or `2..8`; (0, 0) for a trial's own process.

    Raises:
        ConfigError: If the text is neither.
    """
    found = _WORKERS.fullmatch(str(text).strip())
    low, high = (int(found[1]), int(found[2] or found[1])) if found else (-1, -1)
    if not 0 <= low <= high or (low == 0 < high):
        raise ConfigError(
            f"--workers must be a number, or a range such as 2..8 from 1 on, got {text!r}"
        )
    return low, high


def parse_seeds(given: int | str | Sequence[int]) -> tuple[int, ...]:
    """Seeds per arm at each look, the last of them all that the study has: `7`, or `8,11,14`.

    Raises:
        ConfigError: If they are no whole numbers from 1 on, ascending.
    """
    parts = str(given).split(",") if isinstance(given, (int, str)) else [str(one) for one in given]
    words = [part.strip() for part in parts]
    seeds = tuple(int(word) if word.isdecimal() else 0 for word in words)
    if not seeds or min(seeds) < 1:
        raise ConfigError(
            f"--seeds must be at least 1, or several such numbers as in 8,11,14, got {given!r}"
        )
    if list(seeds) != sorted(set(seeds)):
        raise ConfigError(
            f"--seeds must be a number, or looks that have more and more as in 8,11,14, got "
            f"{','.join(words)!r}"
        )
    return seeds


def parse_val_frac(text: str | float) -> str | float:
    """What `--val-frac` says: `all`, `same` or a fraction below 1; 1 is `all`.

    Raises:
        ConfigError: If it is none of these.
    """
    if text in ("all", "same"):
        return text
    try:
        fraction = float(text)
    except ValueError:
        fraction = math.nan
    if not 0 < fraction <= 1:
        percent = str(text).strip().removesuffix("%")
        share = float(percent) / 100 if percent.replace(".", "", 1).isdecimal() else math.nan
        advice = f", which is percent; write --val-frac {share:.12g}" * (0 < share <= 1)
        raise ConfigError(
            f"--val-frac must be all, same or a fraction in (0, 1], got {text!r}{advice}"
        )
    return "all" if fraction == 1 else fraction


def check_workers(workers: tuple[int, int], gpus: float | None) -> None:
    """Refuse a part of a second card, and a group whose workers would share one."""
    if gpus is not None and gpus > 1 and gpus != int(gpus):
        raise ConfigError(f"--gpus must be a share of one card or a whole number, got {gpus:g}")
    if workers[1] > 1 and gpus not in (None, 0, 1):
        raise ConfigError(
            f"--gpus must be 0 or 1 for several workers (each has a card of its own), got {gpus:g}"
        )


def check_lists(
    lists: str | Mapping[float, str] | None, unit: str, stratified: bool, orders: Sequence[str]
) -> None:
    """Refuse lists of tiles or blocks beside what would choose them otherwise."""
    if lists is None:
        return
    if unit not in ("tile", "block"):
        raise ConfigError(
            f"--budget-unit must be tile or block with budget_lists, which name them, got {unit!r}"
        )
    if stratified or tuple(orders) != ("random",):
        raise ConfigError(
            "budget_stratified and budget_order must be left out with budget_lists, which say what "
            "is annotated, got one of them"
        )
    if not isinstance(lists, str) and not all(isinstance(file, str) for file in lists.values()):
        raise ConfigError(
            f"budget_lists must be a CSV file, or `fraction: file` lines, got {dict(lists)!r}"
        )
    if unit == "block" and not isinstance(lists, str):
        raise ConfigError(
            "budget_lists of blocks must be one CSV file with the columns tile, row, column and "
            f"fraction, got {dict(lists)!r}"
        )


def check_cost(cost: Mapping[str, float] | None) -> None:
    """Refuse prices of what has none, and those that are no minutes."""
    if cost is None:
        return
    unknown = [name for name in cost if name not in _PRICES]
    if unknown or not cost:
        raise ConfigError(
            f"cost must have minutes for some of {', '.join(_PRICES)}, got "
            f"{', '.join(map(str, unknown)) or 'none'}"
        )
    for name, minutes in cost.items():
        is_number = isinstance(minutes, int | float) and not isinstance(minutes, bool)
        if not is_number or not 0 <= minutes < math.inf:
            raise ConfigError(f"{name} of cost must be minutes from 0, got {minutes!r}")
    if not any(cost.values()):
        raise ConfigError(f"cost must be above 0 for something, got {dict(cost)!r}; leave cost out")


def check_cluster(address: str | None, storage: str | None) -> None:
    """Refuse a cluster without a storage that all its machines reach."""
    if address is not None and "://" in address:
        raise ConfigError(
            f"--address must be `auto` or HOST:PORT of a cluster that this machine belongs to, got "
            f"{address!r}; run the command on one of its machines"
        )
    if address is not None and storage is None:
        raise ConfigError(
            "--storage must be given with --address, got none; name a folder that all machines "
            "share, or a URI such as s3://bucket/studies"
        )
    if storage is not None and "@" in urlsplit(storage).netloc:  # it goes into records
        raise ConfigError(
            "--storage must hold no credentials, got some; put them into the environment of every "
            "machine (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, say)"
        )
