"""U-REC and its training loop in the manner of the published code: plain torch, no more.

Written anew from the paper and the facts of its authors' code (`docs/protocol.md` [1]), as what
the product is compared with: tiles as float64 arrays, patches cropped on the main process by a
`DataLoader`, float32, the default memory layout, one branch decoded after the other with the
shared bottom block run for each, Adam one tensor at a time, and the loss read at every step.
Nothing of the product is used here. What the authors' loop does besides (a confusion matrix of
every batch, a picture every 100 steps) is left out, in the reference's favour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

NAMES = {
    **{f"down{stage}": f"encoder.stages.{stage - 1}" for stage in (1, 2, 3, 4, 5)},
    "bottom": "encoder.bottom",
    **{f"segment{stage}": f"segmentation.entries.{5 - stage}" for stage in (5, 4, 3, 2, 1)},
    **{f"shared{stage}": f"segmentation.refinements.{5 - stage}" for stage in (5, 4, 3, 2)},
    "to_classes": "segmentation.head",
    **{f"rebuild{stage}": f"reconstruction.entries.{5 - stage}" for stage in (5, 4, 3, 2, 1)},
    "to_bands": "reconstruction.head",
}
"""Name of every part here and in the product; within a part, names are the same."""


def conv_block(num_in: int, num_out: int) -> nn.Sequential:
    """3x3 convolution with bias, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, 3, padding=1), nn.BatchNorm2d(num_out), nn.ReLU(inplace=True)
    )


class ReferenceUREC(nn.Module):
    """The published network; stage 1 is the finest, stage 5 the coarsest."""

    def __init__(self, num_bands: int = 3, num_classes: int = 6, width: int = 32) -> None:
        super().__init__()
        a, b, c, d, e = (width * factor for factor in (1, 2, 4, 8, 16))
        self.down1 = nn.Sequential(conv_block(num_bands, a), conv_block(a, a))
        self.down2 = nn.Sequential(conv_block(a, b), conv_block(b, b))
        self.down3 = nn.Sequential(conv_block(b, c), conv_block(c, c), conv_block(c, c))
        self.down4 = nn.Sequential(conv_block(c, d), conv_block(d, d), conv_block(d, d))
        self.down5 = nn.Sequential(conv_block(d, e), conv_block(e, e), conv_block(e, e))
        self.pool = nn.MaxPool2d(2)
        self.bottom = conv_block(e, e)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        # The first block of a stage is each branch's own; with a skip it takes twice the channels.
        self.segment5, self.rebuild5 = conv_block(2 * e, e), conv_block(e, e)
        self.segment4, self.rebuild4 = conv_block(2 * d, d), conv_block(d, d)
        self.segment3, self.rebuild3 = conv_block(2 * c, c), conv_block(c, c)
        self.segment2, self.rebuild2 = conv_block(2 * b, b), conv_block(b, b)
        self.segment1, self.rebuild1 = conv_block(2 * a, a), conv_block(a, a)
        # The others belong to both.
        self.shared5 = nn.Sequential(conv_block(e, e), conv_block(e, d), conv_block(d, d))
        self.shared4 = nn.Sequential(conv_block(d, d), conv_block(d, c), conv_block(c, c))
        self.shared3 = nn.Sequential(conv_block(c, c), conv_block(c, b), conv_block(b, b))
        self.shared2 = nn.Sequential(conv_block(b, a), conv_block(a, a))
        self.to_classes = nn.Conv2d(a, num_classes, 1)
        self.to_bands = nn.Conv2d(a, num_bands, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, K, H, W) and reconstruction (N, C, H, W) of images (N, C, H, W)."""
        x1 = self.down1(images)
        x2 = self.down2(self.pool(x1))
        x3 = self.down3(self.pool(x2))
        x4 = self.down4(self.pool(x3))
        x5 = self.down5(self.pool(x4))
        pooled = self.pool(x5)
        return self._segment(pooled, x1, x2, x3, x4, x5), self._rebuild(pooled)

    def _segment(
        self, pooled: Tensor, x1: Tensor, x2: Tensor, x3: Tensor, x4: Tensor, x5: Tensor
    ) -> Tensor:
        x = self.up(self.bottom(pooled))
        x = self.up(self.shared5(self.segment5(torch.cat((x, x5), 1))))
        x = self.up(self.shared4(self.segment4(torch.cat((x, x4), 1))))
        x = self.up(self.shared3(self.segment3(torch.cat((x, x3), 1))))
        x = self.up(self.shared2(self.segment2(torch.cat((x, x2), 1))))
        logits: Tensor = self.to_classes(self.segment1(torch.cat((x, x1), 1)))
        return logits

    def _rebuild(self, pooled: Tensor) -> Tensor:
        x = self.up(self.bottom(pooled))
        x = self.up(self.shared5(self.rebuild5(x)))
        x = self.up(self.shared4(self.rebuild4(x)))
        x = self.up(self.shared3(self.rebuild3(x)))
        x = self.up(self.shared2(self.rebuild2(x)))
        reconstruction: Tensor = self.to_bands(self.rebuild1(x))
        return reconstruction


def own_name(name: str) -> str:
    """Name here of a tensor of the product's network; unchanged where it has none here."""
    for mine, theirs in NAMES.items():
        if name.startswith(f"{theirs}."):
            return mine + name.removeprefix(theirs)
    return name


def copy_weights(weights: Mapping[str, Tensor], network: ReferenceUREC) -> None:
    """Take over the state dict of the product's network.

    Raises:
        RuntimeError: If a tensor is missing, left over or of another shape.
    """
    network.load_state_dict({own_name(name): tensor for name, tensor in weights.items()})


class Patches(Dataset[tuple[NDArray[np.float64], NDArray[np.uint8]]]):
    """Crops of tiles that lie in memory as float64 in [0, 1], (H, W, C), and their masks."""

    def __init__(
        self,
        images: Sequence[NDArray[np.uint8]],
        masks: Sequence[NDArray[np.uint8]],
        positions: Sequence[tuple[int, int, int]],
        patch_px: int,
    ) -> None:
        """Scale the tiles.

        Args:
            images: Of every tile (C, H, W).
            masks: Class indices of every tile (H, W).
            positions: Tile, top row and left column of every patch, in the order they are taken.
            patch_px: Side of a patch.
        """
        self._images = [image.transpose(1, 2, 0) / 255.0 for image in images]
        self._masks = masks
        self._positions = positions
        self._patch_px = patch_px

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        tile, top, left = self._positions[index]
        rows, columns = slice(top, top + self._patch_px), slice(left, left + self._patch_px)
        image = self._images[tile][rows, columns].transpose(2, 0, 1)
        return np.array(image, order="C"), np.array(self._masks[tile][rows, columns], order="C")


class ReferenceLoop:
    """Trains over patches, batch by batch, once through."""

    def __init__(
        self,
        network: ReferenceUREC,
        patches: Patches,
        *,
        batch_size: int,
        w1: float,
        lr: float,
        device: torch.device,
    ) -> None:
        """Begin with the first batch; arguments as the product's `TrainingConfig` has them."""
        self._network = network.to(device).train()
        self._batches: Iterator[tuple[Tensor, Tensor]] = iter(
            DataLoader(patches, batch_size=batch_size, num_workers=0)
        )
        self._optimizer = torch.optim.Adam(network.parameters(), lr=lr, fused=False, foreach=False)
        self._w1 = w1
        self._device = device

    def take_over(
        self, weights: Mapping[str, Tensor], moments: Mapping[str, Mapping[str, Tensor]]
    ) -> None:
        """Go on from the product's state.

        Args:
            weights: State dict of its network.
            moments: What its Adam keeps of every parameter, by the parameter's name there; none
                before the first step.
        """
        copy_weights(weights, self._network)
        parameters = dict(self._network.named_parameters())
        for name, kept in moments.items():
            copied = {key: tensor.detach().clone() for key, tensor in kept.items()}
            copied["step"] = copied["step"].cpu()  # a fused Adam counts on the device
            self._optimizer.state[parameters[own_name(name)]] = copied

    def step(self) -> float:
        """One optimiser step; returns its loss.

        Raises:
            StopIteration: If no patches are left.
        """
        crops, classes = next(self._batches)
        images = crops.to(self._device).float()
        masks = classes.to(self._device).long()
        self._optimizer.zero_grad()
        logits, reconstruction = self._network(images)
        loss = self._w1 * F.l1_loss(reconstruction, images)
        loss = loss + (1 - self._w1) * F.cross_entropy(logits, masks)
        loss.backward()
        self._optimizer.step()
        return loss.item()
