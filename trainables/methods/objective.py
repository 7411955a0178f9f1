"""What the training loop asks a method: patches of a batch, and terms of the loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from trainables.data.patches.sampler import Batch
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup


class Objective(Protocol):
    """What a method minimises, and the patches it needs for that."""

    needs_reconstruction: bool
    """Whether the network must give a reconstruction; where it is not needed it is not computed."""

    def num_anywhere(self, training: TrainingConfig) -> int:
        """Patches from anywhere that join the annotated ones in a batch of all workers."""

    def num_views(self, training: TrainingConfig) -> int:
        """Patches from anywhere that a teacher labels, and the network learns from a strong view.

        In a batch of all workers; 0 for a method without a teacher. Those that join the annotated
        ones where there are any, and then as many.
        """

    def weights(self, training: TrainingConfig, step: int) -> Mapping[str, float]:
        """What each term is multiplied by at a step, by its name; the segmentation's first.

        Of the others is measured how much they move the weights that all terms train.
        """

    def terms(
        self,
        logits: Tensor,
        reconstruction: Tensor | None,
        batch: Batch,
        training: TrainingConfig,
        group: ProcessGroup,
    ) -> dict[str, Tensor]:
        """The loss of a batch, as `loss`, its terms, as `loss_NAME`, and what else is to be told.

        All are float32 scalars, and recorded.

        Each of several workers returns its share times their number: the mean over the workers is
        the loss of the whole batch, and so is its gradient, which is what they average.

        Args:
            logits: Class scores of the annotated patches, then of the views (N + V, K, H, W).
            reconstruction: All that the network was given (N + V + M, C, H, W); None where it is
                not needed.
            batch: What the network was given, and what the teacher said of it.
            training: For weights and other settings of the loss.
            group: The workers.
        """
