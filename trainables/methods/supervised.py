"""Training on annotated pixels alone; the others are used for nothing."""

from __future__ import annotations

from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.methods.losses import segmentation_loss
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


class Supervised:
    """Cross-entropy of the annotated pixels; see `Objective`."""

    needs_reconstruction = False

    def num_anywhere(self, training: TrainingConfig) -> int:
        """No patches: pixels that are not annotated are not used."""
        return 0

    def weights(self, training: TrainingConfig) -> dict[str, float]:
        """The cross-entropy alone."""
        return {"loss_seg": 1.0}

    def terms(
        self,
        logits: Tensor,
        reconstruction: Tensor | None,
        batch: Batch,
        training: TrainingConfig,
        group: ProcessGroup,
    ) -> dict[str, Tensor]:
        """The cross-entropy, which is the whole loss."""
        num_px = group.sum((batch.masks != IGNORE_INDEX).sum()) / group.size
        loss = segmentation_loss(logits, batch.masks, num_px)
        return {"loss": loss, "loss_seg": loss}
