"""Training on annotated pixels, the reconstruction of all, and labels that a teacher gives."""

from __future__ import annotations

import torch
from torch import Tensor

from trainables.data.patches.sampler import Batch
from trainables.methods.pseudo_labels import pseudo_label_terms
from trainables.methods.reconstruction import Reconstruction
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


class ReconstructionAndLabels:
    """Equation 3 of the paper, and the loss of the pseudo-labels beside it; see `Objective`.

    Strong views are segmented and never count in the reconstruction: what they hold is made up.
    """

    needs_reconstruction = True
    _published = Reconstruction()

    def num_anywhere(self, training: TrainingConfig) -> int:
        """As many as for the reconstruction alone."""
        return self._published.num_anywhere(training)

    def num_views(self, training: TrainingConfig) -> int:
        """The patches that are reconstructed; as many where only annotated pixels are."""
        return training.batch_size * training.rec_patches

    def weights(self, training: TrainingConfig, step: int) -> dict[str, float]:
        """Those of equation 3, and that of the pseudo-labels."""
        published = self._published.weights(training, step)
        return published | {"loss_pseudo": training.pseudo_weight}

    def terms(
        self,
        logits: Tensor,
        reconstruction: Tensor | None,
        batch: Batch,
        training: TrainingConfig,
        group: ProcessGroup,
    ) -> dict[str, Tensor]:
        """All three terms, and the share of the pixels that have a pseudo-label."""
        assert reconstruction is not None  # `needs_reconstruction`
        num, num_segmented = len(batch.masks), batch.num_segmented
        rebuilt = torch.cat([reconstruction[:num], reconstruction[num_segmented:]])
        published = self._published.terms(logits[:num], rebuilt, batch, training, group)
        pseudo = pseudo_label_terms(logits[num:], batch, training, group)
        loss = published["loss"] + training.pseudo_weight * pseudo["loss_pseudo"]
        return {**published, "loss": loss, **pseudo}
