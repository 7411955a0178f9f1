"""Finds the data set at a path, in any of the layouts that are read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from trainables.data.access.remote_files import with_addresses
from trainables.data.layouts.dataset_yaml.load import load_yaml
from trainables.data.layouts.file_names import check_names
from trainables.data.layouts.isprs import load_isprs
from trainables.data.layouts.spec import DatasetSpec
from trainables.errors import DataError

_ADDRESS: Final = re.compile("[A-Za-z][A-Za-z0-9+.-]+:/")


def load_dataset(path: Path) -> DatasetSpec:
    """The data set at a path: its classes, splits and files.

    Whether every file is there and sound is for `trainables.data.decoding.inspection` to say.

    Args:
        path: A folder with dataset.yaml, a YAML file itself (another split of the same tiles),
            or an ISPRS Vaihingen / Potsdam folder as downloaded and unpacked.

    Returns:
        The data set with absolute file paths, tiles of a split sorted by name.

    Raises:
        DataError: If there is no such data set, it is incomplete or contradicts itself, or one
            of its files has a name that cannot be told.
    """
    try:
        path = _on_this_machine(Path(path))
        check_names([path], "data")
        spec = _load(path)
        tiles = [tile for of_split in spec.splits.values() for tile in of_split]
        check_names((file for tile in tiles for file in tile.files), "file")
    except DataError as error:
        raise DataError(with_addresses(str(error))) from None
    return replace(spec, notes=tuple(map(with_addresses, spec.notes)))


def _on_this_machine(path: Path) -> Path:
    """The path, absolute; a path has lost one slash of an address."""
    if _ADDRESS.match(str(path)) and not path.exists():
        raise DataError(
            "data must be a folder or a YAML file of this machine, got an address; write a "
            "dataset.yaml whose images, masks and labels are addresses (docs/data.md)"
        )
    return path.expanduser().absolute()


def _load(path: Path) -> DatasetSpec:
    if path.is_file():
        return load_yaml(path)
    if not path.is_dir():
        raise DataError(f"data must be an existing folder or YAML file, got {str(path)!r}")
    if (path / "dataset.yaml").is_file():
        return load_yaml(path / "dataset.yaml")
    spec = load_isprs(path)
    if spec is not None:
        return spec
    if not any(path.iterdir()):
        advice = "the folder is empty; put the data there or give another path"
    elif any(path.rglob("*.zip")):
        advice = "unpack the zip archives in it, or write a dataset.yaml (docs/data.md)"
    else:
        advice = "write a dataset.yaml (docs/data.md) beside the images"
    raise DataError(
        "data must be a folder with dataset.yaml or an ISPRS Vaihingen / Potsdam download, "
        f"got {str(path)!r}; {advice}"
    )
