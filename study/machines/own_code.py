"""Which modules of a person's own must be sent to the machines of a cluster."""

from __future__ import annotations

import importlib
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import trainables
from contract.methods import Method
from trainables.errors import ConfigError
from trainables.networks.own_network import is_own

_ROOMS: Final = ("analysis", "contract", "study", "trainables")


def own_code(methods: Iterable[Method]) -> list[str]:
    """Files and folders for `py_modules` of Ray's runtime environment.

    Ray packs each, sends it to every machine that runs a trial, and puts it on the path of the
    trial's process. A package is sent whole, without what its .gitignore names. What is installed,
    as this project is, is on every machine already.

    Args:
        methods: Those of the study, which have been found (`trainables.networks.own.find_method`).

    Returns:
        The top-level packages or modules of networks of one's own, each once, sorted.

    Raises:
        ConfigError: If a package has several folders, which Ray cannot send.
    """
    modules = (one.network.partition(":")[0] for one in methods if is_own(one.network))
    places = map(_place, sorted({name.partition(".")[0] for name in modules}))
    return [str(place) for place in places if not _is_installed(place)]


def _place(name: str) -> Path:
    """The file of a module, or the folder of a package."""
    module = importlib.import_module(name)
    folders = list(getattr(module, "__path__", []))
    if len(folders) > 1:
        raise ConfigError(
            f"a network's package must be one folder to be sent to a cluster, got {name} in "
            f"{', '.join(folders)}; give it an __init__.py, or install it on every machine"
        )
    return Path(folders[0] if folders else str(module.__file__)).resolve()


def _is_installed(place: Path) -> bool:
    """Whether a module lies with installed ones, with Python's own, or in this project."""
    roots = [Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib")]
    roots += [Path(str(trainables.__file__)).parents[1] / room for room in _ROOMS]
    return any(place.is_relative_to(root.resolve()) for root in roots)
