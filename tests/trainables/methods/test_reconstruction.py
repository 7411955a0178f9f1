import math
from dataclasses import replace

import pytest
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.patches.normalisation import to_target
from trainables.data.patches.sampler import Batch
from trainables.methods.losses import reconstruction_loss
from trainables.methods.pixel_errors import ERRORS
from trainables.methods.reconstruction import (
    Reconstruction,
    reconstruction_term,
    reconstruction_weight,
)
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ALONE

pytestmark = pytest.mark.numbers

SHORT = TrainingConfig(steps=4, epochs=None, num_validations=1, w1=0.4)


def _batch(hidden=False, num_bands=3):
    """Two annotated patches and two from anywhere, of which some pixels show nothing."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.randint(0, 3, (2, 12, 12), generator=generator)
    masks[:, 3:5] = IGNORE_INDEX
    shown = torch.rand(4, 12, 12, generator=generator) < 0.9
    squares = None
    if hidden:
        squares = torch.zeros(4, 12, 12, dtype=torch.bool)
        squares[2:, 4:8, 4:8] = True
    return Batch(
        images=torch.rand(4, num_bands, 12, 12, generator=generator),
        masks=masks,
        shown=shown,
        hidden=squares,
    )


def _rebuilt(batch):
    return torch.rand(batch.images.shape, generator=torch.Generator().manual_seed(9))


def test_courses_by_hand():
    """Over four steps the half cosine is sampled at 1/8, 3/8, 5/8 and 7/8 of it."""
    falling = [0.4 * 0.5 * (1 + math.cos(math.pi * eighths / 8)) for eighths in (1, 3, 5, 7)]
    courses = {
        name: [reconstruction_weight(replace(SHORT, w1_schedule=name), step) for step in range(4)]
        for name in ("constant", "decay", "ramp_up")
    }
    assert courses["constant"] == [0.4] * 4
    assert courses["decay"] == pytest.approx(falling)
    assert courses["ramp_up"] == pytest.approx(falling[::-1])
    assert sum(courses["decay"]) / 4 == pytest.approx(0.2)


def test_the_weight_of_the_step_is_used():
    batch = replace(_batch(), step=3)
    logits = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(4))
    training = replace(SHORT, w1_schedule="decay")
    terms = Reconstruction().terms(logits, _rebuilt(batch), batch, training, ALONE)
    w1 = reconstruction_weight(training, 3)
    assert w1 < 0.02
    expected = w1 * terms["loss_rec"] + (1 - w1) * terms["loss_seg"]
    torch.testing.assert_close(terms["loss"], expected)


def test_patches_from_anywhere():
    num = Reconstruction().num_anywhere
    assert num(TrainingConfig()) == 14
    assert num(TrainingConfig(rec_patches=3)) == 42
    assert num(TrainingConfig(reconstruct_on="annotated")) == 0


@pytest.mark.parametrize("num_bands", [1, 3, 8])
@pytest.mark.parametrize("kind", ERRORS)
def test_every_loss_counts_what_shows_something(kind, num_bands):
    batch = _batch(num_bands=num_bands)
    found = reconstruction_term(_rebuilt(batch), batch, replace(SHORT, rec_loss=kind), ALONE)
    expected = reconstruction_loss(_rebuilt(batch), batch.images, batch.shown, kind=kind)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("kind", ERRORS)
def test_hidden_pixels_alone_count(kind):
    batch = _batch(hidden=True)
    rebuilt = _rebuilt(batch)
    found = reconstruction_term(rebuilt, batch, replace(SHORT, rec_loss=kind), ALONE)
    counted = batch.hidden & batch.shown
    assert not counted[:2].any()
    expected = reconstruction_loss(rebuilt, batch.images, counted, kind=kind)
    torch.testing.assert_close(found, expected)
    other = torch.where(counted[:, None], rebuilt, 3.0)
    assert torch.equal(
        reconstruction_term(other, batch, replace(SHORT, rec_loss=kind), ALONE), found
    )


def test_a_step_whose_hidden_squares_show_nothing_has_no_reconstruction():
    batch = _batch(hidden=True)
    batch.shown[batch.hidden] = False
    rebuilt = _rebuilt(batch).requires_grad_()
    loss = reconstruction_term(rebuilt, batch, SHORT, ALONE)
    loss.backward()
    assert loss.item() == 0
    assert (rebuilt.grad == 0).all()


def test_annotated_pixels_alone_count_where_they_are_asked_for():
    batch = _batch()
    batch = replace(batch, images=batch.images[:2], shown=batch.shown[:2])
    training = replace(SHORT, reconstruct_on="annotated", rec_loss="gradient")
    found = reconstruction_term(_rebuilt(batch), batch, training, ALONE)
    valid = batch.masks != IGNORE_INDEX
    expected = reconstruction_loss(_rebuilt(batch), batch.images, valid, kind="gradient")
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_normalised_target_means_the_same_on_another_data_set(kind):
    """Darker imagery with a third of the contrast: the same loss of the same output."""
    batch = _batch()
    training = replace(SHORT, rec_loss=kind, rec_target="normalised")
    dim = replace(batch, images=batch.images / 3 + 0.1)
    rebuilt = 2 * _rebuilt(batch) - 1
    loss, of_dim = (reconstruction_term(rebuilt, one, training, ALONE) for one in (batch, dim))
    assert of_dim.item() == pytest.approx(loss.item(), rel=1e-3)
    published = replace(training, rec_target="image")
    plain, of_dim = (reconstruction_term(rebuilt, one, published, ALONE) for one in (batch, dim))
    assert abs(of_dim.item() / plain.item() - 1) > 0.02


def test_a_normalised_target_by_its_definition():
    batch = _batch()
    training = replace(SHORT, rec_target="normalised")
    target = to_target(batch.images, "normalised", batch.shown)
    found = reconstruction_term(_rebuilt(batch), batch, training, ALONE)
    errors = (_rebuilt(batch) - target).abs().movedim(1, -1)[batch.shown]
    assert found.item() == pytest.approx(errors.mean().item(), rel=1e-5)
    # Structural similarity is of the six deviations around the mean, brought to [0, 1].
    found = reconstruction_term(
        _rebuilt(batch), batch, replace(training, rec_loss="l1_ssim"), ALONE
    )
    expected = reconstruction_loss(
        _rebuilt(batch) / 6 + 0.5, target / 6 + 0.5, batch.shown, kind="l1_ssim"
    )
    torch.testing.assert_close(found, expected)
