"""What a reconstruction is worth: its error on tiles, beside that of what takes no learning."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from contract.names import RECONSTRUCTION_ERRORS
from trainables.data.budgets.pixel_set import STRIP_PX
from trainables.data.tilesets.scaling import BandScaling, shown_values
from trainables.data.tilesets.tileset import TileSet
from trainables.evaluation.inference import reconstruction_error
from trainables.networks.network import Network
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE, ProcessGroup

BLOCK_PX: Final = 8
"""Side of the blocks whose mean colours are one yardstick: what is as good knows where things lie,
and not yet their edges."""
_COLOR_PX: Final = 2**18
"""Pixels from which the colour of the training tiles is taken, at most."""


def reconstruction_errors(
    model: Network,
    tiles: TileSet,
    train: TileSet,
    training: TrainingConfig,
    scaling: BandScaling,
    device: torch.device,
    group: ProcessGroup = ALONE,
) -> dict[str, float]:
    """Mean absolute error of what a network reconstructs, and of two pictures that nobody learned.

    Args:
        model: A network that reconstructs; its mode is left as it was.
        tiles: The split.
        train: The training tiles, for the colour.
        training: For the inference window and the batch size; windows lie side by side.
        scaling: Maps the values of tiles to those the network sees.
        device: Where the network is.
        group: The workers, each of which takes some of the tiles; all get the same result.

    Returns:
        By the names of `RECONSTRUCTION_ERRORS`, over the pixels that show anything: of the
        reconstruction; of one colour, which is the best that a network can give without looking at
        the image: the median of each band over the training tiles, or each window's mean where
        windows are normalised; and of every block of `BLOCK_PX` as its own mean. Means over bands,
        in units of [0, 1]; NaN where nothing is shown.
    """
    target = training.rec_target
    color = _median_color(train, scaling) if target == "image" else torch.zeros(())
    networks = (model, _OneColor(color).to(device))
    sums = torch.zeros(len(RECONSTRUCTION_ERRORS) + 1, dtype=torch.float64)
    for index in group.assigned(tiles.shapes.prod(axis=1).tolist()):
        tile = tiles.tile(index)
        for place, network in enumerate(networks):
            sums[place] += reconstruction_error(
                network,
                tile.image,
                tile.shown,
                window_px=training.infer_window_px,
                batch_size=training.batch_size,
                device=device,
                scaling=scaling,
                target=target,
            )
        for first, last in _strips(tile.mask.shape):
            image = scaling.to_unit(torch.from_numpy(np.array(tile.image[:, first:last])))
            shown = torch.ones(image.shape[1:])
            if tile.shown is not None:
                shown = torch.from_numpy(tile.shown[first:last].astype(np.float32))
            errors = (image - _block_means(image, shown)).abs().mean(dim=0) * shown
            sums[2] += errors.sum(dtype=torch.float64)
            sums[-1] += shown.sum(dtype=torch.float64)
    sums = group.sum(sums.to(device)).cpu()
    means = (sums[:-1] / sums[-1]).tolist()
    return dict(zip(RECONSTRUCTION_ERRORS, means, strict=True))


class _OneColor(nn.Module):
    """Reconstructs every image as one and the same colour."""

    color: Tensor

    def __init__(self, color: Tensor) -> None:
        super().__init__()
        self.register_buffer("color", color)

    def reconstruct(self, images: Tensor) -> Tensor:
        """The colour, as large as images (N, C, H, W)."""
        return self.color.expand_as(images)


def _median_color(train: TileSet, scaling: BandScaling) -> Tensor:
    """Median of each band over the shown training pixels, as the network sees it (C, 1, 1)."""
    values = [float(np.median(band)) for band in shown_values(train, _COLOR_PX)]
    return scaling.to_unit(torch.tensor(values)[:, None, None])


def _block_means(image: Tensor, shown: Tensor) -> Tensor:
    """Every block of an image (C, H, W) as the mean of its shown pixels (C, H, W)."""
    pool = {"kernel_size": BLOCK_PX, "ceil_mode": True, "count_include_pad": False}
    share = F.avg_pool2d(shown[None], **pool)  # type: ignore[arg-type]
    means = F.avg_pool2d(image * shown, **pool) / share  # type: ignore[arg-type]
    height, width = image.shape[1:]
    blocks = means.repeat_interleave(BLOCK_PX, 1).repeat_interleave(BLOCK_PX, 2)
    return blocks[:, :height, :width].nan_to_num(0.0)


def _strips(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last row + 1 of strips of whole blocks over a tile."""
    height, width = shape
    step = max(BLOCK_PX, STRIP_PX // width // BLOCK_PX * BLOCK_PX)
    return [(first, min(first + step, height)) for first in range(0, height, step)]
