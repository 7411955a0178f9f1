"""Scores of a network over the tiles of a split: one integer confusion matrix per tile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import TileSet
from trainables.evaluation.inference import evaluate_tile
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE, ProcessGroup

if TYPE_CHECKING:  # it draws pictures, which training needs no library for
    from trainables.evaluation.tile_maps import TileMaps


def evaluate_tiles(
    model: nn.Module,
    tiles: TileSet,
    training: TrainingConfig,
    num_classes: int,
    scaling: BandScaling,
    device: torch.device,
    maps: TileMaps | None = None,
    group: ProcessGroup = ALONE,
    annotated: PixelSet | None = None,
) -> list[dict[str, Tensor]]:
    """Confusion matrices of every tile, in the order of the set.

    Args:
        model: U-Net or U-REC; its training or evaluation mode is left as it was.
        tiles: The split.
        training: For the inference window, its step and the batch size.
        num_classes: K.
        scaling: Maps the values of the tiles to those the network sees.
        device: Where the network is.
        maps: Takes what was predicted, from the same pass; None where nothing is kept of it.
        group: The workers, each of which evaluates some of the tiles; all get all matrices.
        annotated: The pixels of the tiles that count, with the classes they were given; None for
            all whose class is known.

    Returns:
        `full` and, where there is an eroded reference, `eroded`: int64 (K, K), rows reference.
    """
    names = ("full",) if tiles.eroded_masks is None else ("full", "eroded")
    counts = torch.zeros(len(tiles), len(names), num_classes, num_classes, dtype=torch.int64)
    for index in group.assigned(tiles.shapes.prod(axis=1).tolist()):
        tile = tiles.tile(index)
        references = {"full": tile.mask}
        if tile.eroded_mask is not None:
            references["eroded"] = tile.eroded_mask
        if annotated is not None:
            given = annotated.given(index, 0, tile.mask)
            references = {
                name: np.where(mask == IGNORE_INDEX, mask, given)
                for name, mask in references.items()
            }
        predicted, reconstructed = (None, None) if maps is None else maps.buffers(tile)
        matrices = evaluate_tile(
            model,
            tile.image,
            references,
            num_classes,
            window_px=training.infer_window_px,
            step_px=training.infer_step_px,
            batch_size=training.batch_size,
            device=device,
            scaling=scaling,
            predicted=predicted,
            reconstructed=reconstructed,
            target=training.rec_target,
        )
        if maps is not None:
            maps.write(tile, predicted, reconstructed)
        counts[index] = torch.stack([matrices[name] for name in names])
    counts = group.sum(counts.to(device)).cpu()
    return [dict(zip(names, tile, strict=True)) for tile in counts]
