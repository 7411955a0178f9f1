"""Training on annotated pixels and on the reconstruction of all (equation 3 of the paper)."""

from __future__ import annotations

import math
from typing import Final

from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.normalisation import to_target
from trainables.data.patches.sampler import Batch
from trainables.methods.losses import reconstruction_loss, weighted_loss
from trainables.methods.segmentation import segmentation_term
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup

_SPAN: Final = 6.0
"""Standard deviations, -3 to 3, that become the [0, 1] which structural similarity asks for."""


class Reconstruction:
    """Losses of the annotated pixels and of the reconstruction of all; see `Objective`."""

    needs_reconstruction = True

    def num_anywhere(self, training: TrainingConfig) -> int:
        """`rec_patches` for each that is annotated if all pixels are reconstructed, else none."""
        return training.batch_size * training.rec_patches * (training.reconstruct_on == "all")

    def num_views(self, training: TrainingConfig) -> int:
        """No patches: there is no teacher."""
        return 0

    def weights(self, training: TrainingConfig, step: int) -> dict[str, float]:
        """Those of equation 3, with `w1` as it is at the step."""
        w1 = reconstruction_weight(training, step)
        return {"loss_seg": 1 - w1, "loss_rec": w1}

    def terms(
        self,
        logits: Tensor,
        reconstruction: Tensor | None,
        batch: Batch,
        training: TrainingConfig,
        group: ProcessGroup,
    ) -> dict[str, Tensor]:
        """Both terms, weighted by `w1` as it is at the step."""
        assert reconstruction is not None  # `needs_reconstruction`
        loss_seg = segmentation_term(logits, batch, training, group)
        loss_rec = reconstruction_term(reconstruction, batch, training, group)
        loss = weighted_loss(reconstruction_weight(training, batch.step), loss_rec, loss_seg)
        return {"loss": loss, "loss_seg": loss_seg, "loss_rec": loss_rec}


def reconstruction_term(
    reconstruction: Tensor, batch: Batch, training: TrainingConfig, group: ProcessGroup
) -> Tensor:
    """The loss of the reconstruction, by `rec_loss` and `rec_target`.

    Args:
        reconstruction: All patches (N + M, C, H, W).
        batch: What they were to be, and which pixels count: the annotated ones, all that show
            anything, or those of them that the network did not see.
        training: For the loss.
        group: The workers; see `Objective.terms`.

    Returns:
        Scalar, float32. Where something is hidden and none of it shows anything, which nodata can
        bring about, the step has no such term: 0.
    """
    valid = batch.shown if batch.hidden is None else batch.shown & batch.hidden
    if training.reconstruct_on == "annotated":
        valid = batch.masks != IGNORE_INDEX
    total = group.sum(valid.sum())
    if batch.hidden is not None:
        total = total.clamp(min=1)
    target = to_target(batch.images, training.rec_target, batch.shown)
    if training.rec_loss == "l1_ssim" and training.rec_target == "normalised":
        reconstruction, target = (x.float() / _SPAN + 0.5 for x in (reconstruction, target))
    return reconstruction_loss(
        reconstruction, target, valid, total / group.size, kind=training.rec_loss
    )


def reconstruction_weight(training: TrainingConfig, step: int) -> float:
    """`w1` at the step with this index, counted from 0.

    Both courses follow half a cosine over the run and are on average half of `w1`; what one has
    at a step the other has as many steps before the end.
    """
    if training.w1_schedule == "constant":
        return training.w1
    progress = (step + 0.5) / training.steps
    share = 0.5 * (1 + math.cos(math.pi * progress))
    return training.w1 * (share if training.w1_schedule == "decay" else 1 - share)
