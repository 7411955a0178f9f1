"""Rules of single options: names, choices, types, and what this version does not do yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from trainables.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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
            ("space", "data", "preset", "sampler", "pruner", "name", "budget_unit"), (str,)
        ),
        **dict.fromkeys(("address", "storage", "tracking_uri", "output"), (str,)),
        **dict.fromkeys(("trials", "seeds", "seed", "workers", "concurrent"), (int,)),
        **dict.fromkeys(("gpus", "cpus", "tile_memory_mib", "checkpoint_every_s"), (int, float)),
        "budget_px": (int,),
        "budget_stratified": (bool,),
        "models": (list, tuple),
    }
    for name, value in chosen.items():
        kind = kinds.get(name)
        if kind and (not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind)):
            words = " or ".join(one.__name__ for one in kind)
            raise ConfigError(f"{name} must be of type {words}, got {value!r}")


def refuse_not_yet(workers: int, address: str | None, storage: str | None) -> None:
    """Refuse what the words of the command line promise and this version does not do."""
    if workers != 0:
        raise ConfigError(
            f"--workers must be 0 (a trial trains in its own process), got {workers}; "
            "worker groups are not available yet"
        )
    if address is not None:
        raise ConfigError(
            f"--address must be left out, got {address!r}; joining a running cluster is not "
            "available yet"
        )
    if storage is not None:
        raise ConfigError(
            f"--storage must be left out, got {storage!r}; trial state goes to --output for now"
        )
