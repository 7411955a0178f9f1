"""Training batches: patches cut, turned and flipped by one gather on the training device."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.data.budgets.pixel_set import PixelSet
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.hidden import hidden_squares
from trainables.data.patches.positions import Positions
from trainables.data.patches.strong_views import StrongViews, draw_changes, make_views
from trainables.data.tilesets.scaling import BandScaling
from trainables.data.tilesets.tileset import TileSet
from trainables.settings.process_group import ALONE, ProcessGroup
from trainables.settings.seeds import torch_generator


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Patches of one optimiser step: N with annotated pixels, then M for the L1 term alone.

    Each of several workers gets its share of both.
    """

    images: Tensor
    """Float32 in [0, 1] (N + M, C, H, W)."""
    masks: Tensor
    """Class index or `IGNORE_INDEX`, int64 (N, H, W)."""
    shown: Tensor
    """Whether a pixel shows anything, bool (N + M, H, W): it is no nodata and lies on its tile,
    which may be smaller than a patch."""
    step: int = 0
    """The step that it was drawn for, from 0."""
    hidden: Tensor | None = None
    """Pixels that the network does not see, bool (N + M, H, W), none of them in the first N
    patches; None where it sees all."""
    class_weights: Tensor | None = None
    """What an annotated pixel of each class counts, float32 (K,); None where all count the same."""
    views: StrongViews | None = None
    """Strong views of patches from anywhere, for pseudo-labels; None for a method without."""
    taught: Tensor | None = None
    """Class scores that the teacher gives `views.patches` (V or V + 1, K, H, W); None until it
    has."""

    @property
    def num_segmented(self) -> int:
        """How many of the inputs are segmented, the first of them: N + V."""
        return len(self.masks) + (0 if self.views is None else len(self.views.images))

    @property
    def inputs(self) -> Tensor:
        """What the network sees: annotated patches, strong views, patches for the L1 term alone.

        Float32 (N + V + M, C, H, W); hidden pixels are in the mean colour of the others. `images`
        themselves where nothing is hidden and there are no views.
        """
        images = self._seen_images()
        if self.views is None:
            return images
        num = len(self.masks)
        return torch.cat([images[:num], self.views.images, images[num:]])

    def _seen_images(self) -> Tensor:
        if self.hidden is None:
            return self.images
        seen = (self.shown & ~self.hidden)[:, None].to(self.images.dtype)
        num_px = seen.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        mean = (self.images * seen).sum(dim=(2, 3), keepdim=True) / num_px
        return torch.where(self.hidden[:, None], mean, self.images)


class PatchSampler:
    """Draws the batches of one trial; what a step draws follows from seed and step alone."""

    def __init__(
        self,
        tiles: TileSet,
        annotated: PixelSet,
        positions: Positions,
        *,
        scaling: BandScaling,
        patch_px: int,
        num_annotated: int,
        num_anywhere: int,
        augment: bool,
        seed: int,
        device: torch.device,
        group: ProcessGroup = ALONE,
        hidden_share: float = 0.0,
        class_weights: Tensor | None = None,
        num_views: int = 0,
    ) -> None:
        """Put tiles on the device; mapped ones, which may exceed it, stay on the host.

        Args:
            tiles: The training tiles.
            annotated: Their annotated pixels, with their classes where those are not the masks'.
            positions: Where patches lie.
            scaling: Maps the values of the tiles to those the network sees.
            patch_px: Side of a patch.
            num_annotated: Patches with annotated pixels in a batch of all workers.
            num_anywhere: Patches for the L1 term alone in a batch of all workers.
            augment: Whether patches are turned and flipped at random.
            seed: The trial's seed.
            device: Where batches are needed.
            group: The workers; together they draw what one alone would.
            hidden_share: Of the patches for the L1 term alone, what the network does not see; 0
                for nothing.
            class_weights: What an annotated pixel of each class counts (K,), for the loss.
            num_views: Patches from anywhere that are viewed strongly in a batch of all workers;
                those for the L1 term where there are any.

        Raises:
            ValueError: If there are patches for the L1 term, and views of another number.
        """
        if num_views and num_anywhere not in (0, num_views):
            raise ValueError(
                f"num_views must be 0 or {num_anywhere} (num_anywhere), got {num_views}"
            )
        self._positions = positions
        self._patch_px = patch_px
        self._num_annotated = num_annotated
        self._num_anywhere = num_anywhere
        self._num_views = num_views
        self._augment = augment
        self._seed = seed
        self._device = device
        self._group = group
        self._hidden_share = hidden_share
        self._class_weights = None if class_weights is None else class_weights.to(device)
        self._shapes = torch.from_numpy(np.array(tiles.shapes))
        self._starts = torch.from_numpy(np.array(tiles.starts))
        self._bit_starts = torch.from_numpy(np.array(annotated.starts))
        self._scaling = scaling
        self._home = device if tiles.folder is None else torch.device("cpu")
        self._images = _borrow(tiles.images).to(self._home)
        self._masks = _borrow(tiles.masks).to(self._home) if annotated.labels is None else None
        self._shown = None if tiles.shown is None else _borrow(tiles.shown).to(self._home)
        self._bits = _borrow(annotated.bits).to(self._home)
        labels = () if annotated.labels is None else annotated.labels
        self._digits = [_borrow(digits).to(self._home) for digits in labels]

    def draw(self, step: int) -> Batch:
        """This worker's patches of one optimiser step."""
        share = self._group.share(self._num_annotated)
        positions = self._positions.annotated(step, self._num_annotated)[share]
        turns = self._turns("augmentation", step, self._num_annotated)[share]
        num = len(positions)
        num_drawn = max(self._num_anywhere, self._num_views)
        numbers = [*range(num_drawn)[self._group.share(num_drawn)]]
        num_own = len(numbers)
        if num_drawn:
            if self._num_views and num_own < num_drawn:  # for the box of the last view
                numbers.append((numbers[-1] + 1) % num_drawn)
            anywhere = self._positions.anywhere(step, num_drawn)[numbers]
            positions = torch.cat([positions, anywhere])
            more = self._turns("unannotated_augmentation", step, num_drawn)[numbers]
            turns = torch.cat([turns, more])
        index, bit, shown = self._pixel_index(positions, turns)
        images = _send(self._images[:, index].movedim(0, 1), self._device)
        masks = self._classes(index[:num], bit[:num])
        masks.masked_fill_((_bits_at(self._bits, bit[:num]) == 0) | ~shown[:num], IGNORE_INDEX)
        if self._shown is not None:
            shown &= self._shown[index]
        images, shown = self._scaling.to_unit(images), _send(shown, self._device)
        views = None
        if self._num_views:
            changes = draw_changes(
                self._seed, step, numbers, num_bands=images.shape[1], patch_px=self._patch_px
            )
            sent: dict[str, Any] = {
                name: _send(one, self._device)
                for name, one in vars(changes).items()
                if isinstance(one, Tensor)
            }
            views = make_views(images[num:], shown[num:], replace(changes, **sent), num_own)
        num_kept = num + (num_own if self._num_anywhere else 0)
        return Batch(
            images=images[:num_kept],
            masks=_send(masks, self._device),
            shown=shown[:num_kept],
            step=step,
            hidden=self._hidden(step, num),
            class_weights=self._class_weights,
            views=views,
        )

    def _classes(self, index: Tensor, bit: Tensor) -> Tensor:
        """The class that pixels are given, int64, anything where they are not annotated.

        Where clicks give it, masks are not even held: they would tell what no click does.
        """
        if self._masks is not None:
            return self._masks[index].to(torch.int64)
        classes = torch.zeros_like(bit)
        for place, digits in enumerate(self._digits):
            classes |= _bits_at(digits, bit).to(torch.int64) << place
        return classes

    def _hidden(self, step: int, num: int) -> Tensor | None:
        """Hidden pixels of this worker's patches, of which the first `num` are seen as they are."""
        if not (self._hidden_share and self._num_anywhere):
            return None
        drawn = hidden_squares(
            self._num_anywhere,
            self._patch_px,
            self._hidden_share,
            torch_generator(self._seed, "hidden", step),
        )[self._group.share(self._num_anywhere)]
        return _send(torch.cat([drawn.new_zeros(num, *drawn.shape[1:]), drawn]), self._device)

    def _turns(self, purpose: str, step: int, num: int) -> Tensor:
        """Which of the eight symmetries of the square each patch gets, 0-7, int64 (num,)."""
        if not self._augment:
            return torch.zeros(num, dtype=torch.int64)
        return torch.randint(8, (num,), generator=torch_generator(self._seed, purpose, step))

    def _pixel_index(self, positions: Tensor, turns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Packed index of every patch pixel, index of its bit, and whether it lies on its tile.

        All are (N + M, H, W). Beyond the tile the edge is repeated: what does not lie on it
        counts in neither loss.
        """
        tile = positions[:, 0]
        where = [self._starts[tile], 8 * self._bit_starts[tile], *self._shapes[tile].unbind(1)]
        columns = torch.stack([*where, *positions[:, 1:].unbind(1), turns])
        start, bit_start, height, width, top, left, turns = (
            column[:, None, None] for column in _send(columns, self._home)
        )
        line = torch.arange(self._patch_px, device=self._home)
        down, across = line[None, :, None], line[None, None, :]
        transposed = (turns & 4) > 0
        down, across = torch.where(transposed, across, down), torch.where(transposed, down, across)
        down = torch.where((turns & 1) > 0, self._patch_px - 1 - down, down)
        across = torch.where((turns & 2) > 0, self._patch_px - 1 - across, across)
        row, column = top + down, left + across
        inside = (row < height) & (column < width)
        row, column = row.minimum(height - 1), column.minimum(width - 1)
        bit = bit_start + row * ((width + 7) // 8 * 8) + column
        return start + row * width + column, bit, inside


def _bits_at(plane: Tensor, bit: Tensor) -> Tensor:
    """Bits of a packed plane (B,) by their index, uint8, 0 or 1, in the shape of `bit`."""
    return plane[bit >> 3] >> (7 - (bit & 7)).to(torch.uint8) & 1


def _send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on the device; a GPU is not waited for, which still computes the step before."""
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _borrow(array: NDArray[Any]) -> Tensor:
    """Tensor over a read-only array, without a copy: it is never written to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*not writable.*")
        return torch.from_numpy(array)
