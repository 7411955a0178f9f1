"""Training on annotated pixels and on the reconstruction of all (equation 3 of the paper)."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.methods.losses import reconstruction_loss, segmentation_loss, weighted_loss
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


class Reconstruction:
    """Cross-entropy of the annotated pixels and L1 of the reconstruction; see `Objective`."""

    needs_reconstruction = True

    def num_anywhere(self, training: TrainingConfig) -> int:
        """As many patches as are annotated if all pixels are reconstructed, else none."""
        return training.batch_size if training.reconstruct_on == "all" else 0

    def weights(self, training: TrainingConfig) -> dict[str, float]:
        """Those of equation 3."""
        return {"loss_seg": 1 - training.w1, "loss_rec": training.w1}

    def terms(
        self,
        logits: Tensor,
        reconstruction: Tensor | None,
        batch: Batch,
        training: TrainingConfig,
        group: ProcessGroup,
    ) -> dict[str, Tensor]:
        """Both terms, weighted by `w1`."""
        assert reconstruction is not None  # `needs_reconstruction`
        annotated = batch.masks != IGNORE_INDEX
        valid = annotated if training.reconstruct_on == "annotated" else batch.shown
        num_px = group.sum(torch.stack([annotated.sum(), valid.sum()])) / group.size
        loss_seg = segmentation_loss(logits, batch.masks, num_px[0])
        loss_rec = reconstruction_loss(reconstruction, batch.images, valid, num_px[1])
        loss = weighted_loss(training.w1, loss_rec, loss_seg)
        return {"loss": loss, "loss_seg": loss_seg, "loss_rec": loss_rec}
