"""Training on annotated pixels, and on labels that a teacher gives others (FixMatch)."""

from __future__ import annotations

from torch import Tensor

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.methods.losses import count_px, segmentation_loss
from trainables.methods.segmentation import segmentation_term
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


class PseudoLabels:
    """Losses of the annotated pixels and of the pseudo-labels; see `Objective`."""

    needs_reconstruction = False

    def num_anywhere(self, training: TrainingConfig) -> int:
        """No patches: those from anywhere are seen by the teacher, and in strong views."""
        return 0

    def num_views(self, training: TrainingConfig) -> int:
        """One for each annotated patch, as in French et al. (2020)."""
        return training.batch_size

    def weights(self, training: TrainingConfig, step: int) -> dict[str, float]:
        """1, and that of the pseudo-labels."""
        return {"loss_seg": 1.0, "loss_pseudo": training.pseudo_weight}

    def terms(
        self,
        logits: Tensor,
        reconstruction: Tensor | None,
        batch: Batch,
        training: TrainingConfig,
        group: ProcessGroup,
    ) -> dict[str, Tensor]:
        """Both terms, and the share of the pixels that have a pseudo-label."""
        num = len(batch.masks)
        loss_seg = segmentation_term(logits[:num], batch, training, group)
        pseudo = pseudo_label_terms(logits[num:], batch, training, group)
        loss = loss_seg + training.pseudo_weight * pseudo["loss_pseudo"]
        return {"loss": loss, "loss_seg": loss_seg, **pseudo}


def pseudo_label_terms(
    logits: Tensor, batch: Batch, training: TrainingConfig, group: ProcessGroup
) -> dict[str, Tensor]:
    """The loss of the pseudo-labels (equation 4 of Sohn et al. 2020), and how many there are.

    A pixel's label is the class to which the teacher gives the largest probability, if that is at
    least `pseudo_threshold`.

    Args:
        logits: Class scores of the strong views (V, K, H, W).
        batch: With the views, and what the teacher says of their patches.
        training: For the threshold.
        group: The workers; see `Objective.terms`.

    Returns:
        `loss_pseudo`, cross-entropy of the pixels with a pseudo-label, and `pseudo_share`, their
        number; both divided by the number of all pixels of the views that show something. 0 where
        none does, as nodata may bring about. Scalars, float32.
    """
    views, taught = batch.views, batch.taught
    assert views is not None  # `num_views`
    assert taught is not None
    probabilities, labels = taught.float().softmax(dim=1).max(dim=1)
    is_sure = probabilities >= training.pseudo_threshold
    labels = views.mix(labels.where(is_sure, IGNORE_INDEX)).where(views.shown, IGNORE_INDEX)
    num_px = group.sum(views.shown.sum()).clamp(min=1) / group.size
    return {
        "loss_pseudo": segmentation_loss(logits, labels, num_px),
        "pseudo_share": count_px(labels) / num_px,
    }
