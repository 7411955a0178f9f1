"""Training on annotated pixels alone; the others are used for nothing."""

from __future__ import annotations

from torch import Tensor

from trainables.data.patches.sampler import Batch
from trainables.methods.segmentation import segmentation_term
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


class Supervised:
    """The segmentation of the annotated pixels; see `Objective`."""

    needs_reconstruction = False

    def num_anywhere(self, training: TrainingConfig) -> int:
        """No patches: pixels that are not annotated are not used."""
        return 0

    def num_views(self, training: TrainingConfig) -> int:
        """No patches: there is no teacher."""
        return 0

    def weights(self, training: TrainingConfig, step: int) -> dict[str, float]:
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
        """The loss of the segmentation, which is the whole."""
        loss = segmentation_term(logits, batch, training, group)
        return {"loss": loss, "loss_seg": loss}
