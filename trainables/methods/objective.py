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
        """The loss of a batch, as `loss`, and its terms, as `loss_NAME`; float32 scalars.

        Each of several workers returns its share times their number: the mean over the workers is
        the loss of the whole batch, and so is its gradient, which is what they average.

        Args:
            logits: Class scores of the annotated patches (N, K, H, W).
            reconstruction: All patches (N + M, C, H, W); None where it is not needed.
            batch: What the network was given.
            training: For weights and other settings of the loss.
            group: The workers.
        """
