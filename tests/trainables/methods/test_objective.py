"""What holds for every method, also those to come."""

from dataclasses import replace

import pytest
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.methods import METHODS
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE


@pytest.mark.parametrize("w1_schedule", ["constant", "decay"])
@pytest.mark.parametrize("w1", [0.0, 0.3])
@pytest.mark.parametrize("name", METHODS)
def test_the_loss_is_the_sum_of_its_terms_by_their_weights(name, w1, w1_schedule):
    """Shares in the gradient are told by these weights."""
    method = METHODS[name]
    training = replace(
        TrainingConfig(), batch_size=2, w1=w1, steps=90, num_validations=3, w1_schedule=w1_schedule
    )
    generator = torch.Generator().manual_seed(0)
    num = 2 + method.num_anywhere(training)
    masks = torch.randint(0, 3, (2, 32, 32), generator=generator)
    masks[0, :9] = IGNORE_INDEX
    batch = Batch(
        images=torch.rand(num, 3, 32, 32, generator=generator),
        masks=masks,
        shown=torch.ones(num, 32, 32, dtype=torch.bool),
        step=30,
    )
    logits = torch.randn(2, 3, 32, 32, generator=generator)
    reconstruction = None
    if method.needs_reconstruction:
        reconstruction = torch.rand(num, 3, 32, 32, generator=generator)
    terms = method.terms(logits, reconstruction, batch, training, ALONE)
    weights = method.weights(training, batch.step)
    assert next(iter(weights)) == "loss_seg"
    assert set(weights) == set(terms) - {"loss"}
    total = sum(weight * terms[one] for one, weight in weights.items())
    assert float(total) == pytest.approx(float(terms["loss"]), rel=1e-6)
