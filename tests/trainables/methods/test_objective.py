"""What holds for every method, also those to come."""

from dataclasses import replace

import pytest
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.sampler import Batch
from trainables.data.patches.strong_views import draw_changes, make_views
from trainables.methods import METHODS
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE

_CHANGES = draw_changes(0, 30, range(2), num_bands=3, patch_px=32)


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
    num, num_views = 2 + method.num_anywhere(training), method.num_views(training)
    shown = torch.ones(num, 32, 32, dtype=torch.bool)
    views, taught = None, None
    if num_views:
        patches = torch.rand(num_views, 3, 32, 32, generator=generator)
        views = make_views(patches, shown[:1].expand(num_views, -1, -1), _CHANGES, num_views)
        taught = 3 * torch.randn(num_views, 3, 32, 32, generator=generator)
    masks = torch.randint(0, 3, (2, 32, 32), generator=generator)
    masks[0, :9] = IGNORE_INDEX
    batch = Batch(
        images=torch.rand(num, 3, 32, 32, generator=generator),
        masks=masks,
        shown=shown,
        step=30,
        views=views,
        taught=taught,
    )
    logits = torch.randn(batch.num_segmented, 3, 32, 32, generator=generator)
    reconstruction = None
    if method.needs_reconstruction:
        reconstruction = torch.rand(batch.inputs.shape, generator=generator)
    terms = method.terms(logits, reconstruction, batch, training, ALONE)
    weights = method.weights(training, batch.step)
    assert next(iter(weights)) == "loss_seg"
    assert set(weights) == {one for one in terms if one.startswith("loss_")}
    assert all(terms[one] > 0 for one in weights)
    total = sum(weight * terms[one] for one, weight in weights.items())
    assert float(total) == pytest.approx(float(terms["loss"]), rel=1e-6)
