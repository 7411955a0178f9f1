"""Annotation budgets: which pixels of the training tiles count as annotated.

Patches overlap, so "10 % of the patches" would reveal most pixels. A budget is a set of pixels:
tiles are cut into blocks, a seed fixes one order of all blocks, and a fraction takes blocks from
the front of it. For one seed, smaller budgets are contained in larger ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from trainables.data.spec import IGNORE_INDEX
from trainables.data.tileset import TileSet
from trainables.errors import DataError
from trainables.files import write_atomically
from trainables.seeds import numpy_generator

_ROUNDING_PX: Final = 1e-6
"""Slack for fractions such as 0.1 that binary floating point cannot hold."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The manifest of one budget: written once, verified by every trial that uses it."""

    unit: str
    """What is annotated at a time: `block`."""
    block_px: int
    """Side of a block in pixels; blocks at the right and lower edges are cut off."""
    seed: int
    fraction_asked: float
    """Annotated / labelled pixels, in (0, 1]."""
    fraction_reached: float
    """Largest reachable share that is not above `fraction_asked`; one block at the least."""
    labelled_px: int
    """Pixels of the training tiles whose class is known."""
    annotated_px: int
    """Those of them inside the budget."""
    class_px: tuple[int, ...]
    """Annotated pixels of each class (K,)."""
    blocks: tuple[tuple[str, int, int], ...]
    """Tile name, block row, block column, in the order of the seed."""
    data_checksum: str
    """`TileSet.checksum` of the training tiles."""

    @property
    def checksum(self) -> str:
        """SHA-256 over every field."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def to_plain(self) -> dict[str, Any]:
        """Dictionary of numbers, strings and lists, with the checksum."""
        return {**json.loads(json.dumps(asdict(self))), "checksum": self.checksum}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Budget:
        """Inverse of `to_plain`.

        Raises:
            DataError: If the content does not give the checksum it carries.
        """
        content = {name: value for name, value in plain.items() if name != "checksum"}
        content["class_px"] = tuple(content["class_px"])
        content["blocks"] = tuple((name, row, column) for name, row, column in content["blocks"])
        budget = cls(**content)
        if budget.checksum != plain.get("checksum"):
            raise DataError(
                f"budget checksum must be {budget.checksum[:12]}…, got "
                f"{str(plain.get('checksum'))[:12]}…; the manifest was changed after it was drawn"
            )
        return budget


def draw_budget(
    tiles: TileSet, *, fraction: float, seed: int, block_px: int, num_classes: int
) -> Budget:
    """Choose the annotated pixels of the training tiles.

    Args:
        tiles: The training tiles.
        fraction: Annotated / labelled pixels asked for, in (0, 1].
        seed: Fixes the order of blocks, the same for every fraction.
        block_px: Side of a block in pixels.
        num_classes: K.

    Returns:
        The longest run of blocks from the front of the seed's order whose labelled pixels do not
        exceed the fraction; one block where the first alone exceeds it.

    Raises:
        ValueError: If fraction is not in (0, 1].
        DataError: If no pixel of the tiles is labelled.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], got {fraction!r}")
    blocks = [block for block in _blocks(tiles, block_px) if block[1] > 0]
    if not blocks:
        raise DataError("training tiles must hold labelled pixels, got none; check their masks")
    order = numpy_generator(seed, "budget").permutation(len(blocks))
    counts = np.array([blocks[i][1] for i in order], dtype=np.int64)
    reached = np.cumsum(counts)
    labelled_px = int(reached[-1])
    within = np.searchsorted(reached, fraction * labelled_px + _ROUNDING_PX, side="right")
    num_taken = max(1, int(within))
    taken = tuple(blocks[i][0] for i in order[:num_taken])
    labels = _annotated(tiles, taken, block_px)
    class_px = np.bincount(labels, minlength=IGNORE_INDEX + 1)[:num_classes]
    annotated_px = int(reached[num_taken - 1])
    return Budget(
        unit="block",
        block_px=block_px,
        seed=seed,
        fraction_asked=fraction,
        fraction_reached=annotated_px / labelled_px,
        labelled_px=labelled_px,
        annotated_px=annotated_px,
        class_px=tuple(int(count) for count in class_px),
        blocks=taken,
        data_checksum=tiles.checksum,
    )


def annotated_masks(tiles: TileSet, budget: Budget) -> NDArray[np.uint8]:
    """Masks of the training tiles with `IGNORE_INDEX` outside the budget (P,), uint8.

    Raises:
        DataError: If the tiles are not those the budget was drawn on.
    """
    if tiles.checksum != budget.data_checksum:
        raise DataError(
            f"training tiles must have the checksum {budget.data_checksum[:12]}… of the budget, "
            f"got {tiles.checksum[:12]}…; the data changed after the budget was drawn"
        )
    labels = _annotated(tiles, budget.blocks, budget.block_px)
    found = np.bincount(labels, minlength=IGNORE_INDEX + 1)[: len(budget.class_px)]
    if tuple(int(count) for count in found) != budget.class_px:
        raise DataError(
            f"annotated pixels per class must be {list(budget.class_px)} as in the budget, got "
            f"{found.tolist()}; the masks changed after the budget was drawn"
        )
    return labels


def write_budget(path: Path, budget: Budget) -> None:
    """Write the manifest as JSON; the file appears whole or not at all."""
    write_atomically(path, json.dumps(budget.to_plain(), indent=1).encode())


def read_budget(path: Path) -> Budget:
    """Read a manifest.

    Raises:
        DataError: If the file is no manifest or its content does not give its checksum.
    """
    try:
        return Budget.from_plain(json.loads(path.read_text()))
    except DataError as error:
        raise DataError(f"{error} [in {path}]") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{path} must be a budget manifest, got {error}") from error


def _blocks(tiles: TileSet, block_px: int) -> Iterator[tuple[tuple[str, int, int], int]]:
    """Every block of every tile with its number of labelled pixels."""
    for tile in tiles:
        labelled = tile.mask != IGNORE_INDEX
        rows = np.arange(0, labelled.shape[0], block_px)
        columns = np.arange(0, labelled.shape[1], block_px)
        by_row = np.add.reduceat(labelled, rows, axis=0, dtype=np.int64)
        counts = np.add.reduceat(by_row, columns, axis=1)
        for (row, column), count in np.ndenumerate(counts):
            yield (tile.name, row, column), int(count)


def _annotated(
    tiles: TileSet, blocks: tuple[tuple[str, int, int], ...], block_px: int
) -> NDArray[np.uint8]:
    labels = np.full_like(tiles.masks, IGNORE_INDEX)
    index_of = {name: index for index, name in enumerate(tiles.names)}
    for name, row, column in blocks:
        if name not in index_of:
            raise DataError(f"tile of a budget must be a training tile, got {name!r}")
        index = index_of[name]
        height, width = tiles.shapes[index]
        pixels = slice(int(tiles.starts[index]), int(tiles.starts[index + 1]))
        block = np.s_[
            row * block_px : (row + 1) * block_px, column * block_px : (column + 1) * block_px
        ]
        labels[pixels].reshape(height, width)[block] = tiles.masks[pixels].reshape(height, width)[
            block
        ]
    return labels
