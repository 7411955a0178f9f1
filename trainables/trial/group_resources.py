"""The resources that a group of workers holds, and how they are known as one trial's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import ray
from ray.util.placement_group import (
    PlacementGroup,
    placement_group_table,
    remove_placement_group,
)

_LEAST_BYTES, _TAGS = 2**20, 2**26
"""Bytes of memory: the least that a worker asks for, and how many numbers tell trials apart."""


def release_group(folder: Path) -> None:
    """Free what a group holds that was left alone by the process of its trial.

    Ray keeps the resources of a group until whoever made it says otherwise, or the study ends;
    where that process was killed, nobody would.

    Args:
        folder: The trial's folder, as its task names it.
    """
    for number, known in placement_group_table().items():
        bundles = known["bundles"].values()
        is_ours = any(one.get("memory") == memory_tag(folder) for one in bundles)
        if is_ours and known["state"] != "REMOVED":
            identity = ray.PlacementGroupID(bytes.fromhex(number))
            remove_placement_group(PlacementGroup(identity))


def memory_tag(folder: Path) -> int:
    """Number of bytes of memory that each worker of a trial asks for, and of hardly another trial.

    Args:
        folder: The trial's folder.
    """
    return _LEAST_BYTES + int.from_bytes(hashlib.sha256(str(folder).encode()).digest()[:8]) % _TAGS
