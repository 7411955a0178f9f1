import math

import numpy as np
import pytest
import torch

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.methods.losses import (
    count_px,
    dice_loss,
    reconstruction_loss,
    segmentation_loss,
    weighted_loss,
)

pytestmark = pytest.mark.numbers


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _two_pixels():
    """Two annotated pixels with class probabilities (1/4, 3/4), (1/2, 1/2), one without."""
    probabilities = torch.tensor([[0.25, 0.5, 0.9], [0.75, 0.5, 0.1]])
    logits = probabilities.log().reshape(1, 2, 1, 3)
    return logits, torch.tensor([[[1, 0, IGNORE_INDEX]]])


def test_cross_entropy_by_hand():
    logits, masks = _two_pixels()
    expected = -(math.log(0.75) + math.log(0.5)) / 2
    assert segmentation_loss(logits, masks).item() == pytest.approx(expected)


def test_cross_entropy_against_numpy():
    logits = torch.randn(3, 5, 4, 6, generator=_generator())
    masks = torch.randint(0, 5, (3, 4, 6), generator=_generator(1))
    masks[0, :2] = IGNORE_INDEX
    scores = np.moveaxis(logits.numpy().astype(np.float64), 1, -1)
    log_p = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    known = masks.numpy() != IGNORE_INDEX
    expected = -log_p[known][np.arange(known.sum()), masks.numpy()[known]].mean()
    assert segmentation_loss(logits, masks).item() == pytest.approx(expected, rel=1e-6)


def test_average_is_over_annotated_pixels_of_the_batch_not_over_images():
    logits = torch.randn(2, 3, 2, 2, generator=_generator())
    masks = torch.full((2, 2, 2), IGNORE_INDEX)
    masks[0, 0, 0] = 1
    masks[1] = 2
    pixels = logits.permute(0, 2, 3, 1)[masks != IGNORE_INDEX]
    expected = -pixels.log_softmax(-1)[range(5), [1, 2, 2, 2, 2]].mean()
    torch.testing.assert_close(segmentation_loss(logits, masks), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_masks_of_any_integer_dtype(dtype):
    logits, masks = _two_pixels()
    assert segmentation_loss(logits, masks.to(dtype)) == segmentation_loss(logits, masks)


def test_ignored_pixels_change_neither_the_value_nor_a_gradient():
    masks = torch.randint(0, 3, (2, 4, 4), generator=_generator())
    masks[:, 1:3] = IGNORE_INDEX
    first = torch.randn(2, 3, 4, 4, generator=_generator(1))
    second = first.clone()
    second[:, :, 1:3] = 50 * torch.randn(2, 3, 2, 4, generator=_generator(2))
    losses = []
    for logits in (first.requires_grad_(), second.requires_grad_()):
        losses.append(segmentation_loss(logits, masks))
        losses[-1].backward()
    assert losses[0].item() == losses[1].item()
    assert torch.equal(first.grad, second.grad)
    assert (first.grad[:, :, 1:3] == 0).all()
    assert (first.grad[:, :, 0] != 0).all()


def test_nothing_annotated_is_nan_and_not_zero():
    masks = torch.full((1, 2, 2), IGNORE_INDEX)
    assert segmentation_loss(torch.zeros(1, 3, 2, 2), masks).isnan()


@pytest.mark.parametrize("shape", [(2, 4), (1, 4, 5), (1, 1, 4, 4)])
def test_masks_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match="masks must be"):
        segmentation_loss(torch.zeros(1, 3, 4, 4), torch.zeros(shape, dtype=torch.long))


def test_float32_also_under_autocast():
    logits = torch.randn(1, 3, 4, 4, generator=_generator()).bfloat16()
    masks = torch.randint(0, 3, (1, 4, 4), generator=_generator(1))
    images = torch.rand(1, 3, 4, 4, generator=_generator(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss_seg = segmentation_loss(logits, masks)
        loss_rec = reconstruction_loss(logits, images)
        loss = weighted_loss(0.1, loss_rec, loss_seg)
    assert loss_seg.dtype == loss_rec.dtype == loss.dtype == torch.float32
    assert torch.equal(loss_seg, segmentation_loss(logits.float(), masks))
    assert torch.equal(loss_rec, reconstruction_loss(logits.float(), images))


def test_reconstruction_error_by_hand():
    images = torch.tensor([0.0, 1.0, 0.5, 0.25]).reshape(1, 2, 1, 2)
    rebuilt = torch.tensor([0.5, 1.0, -0.5, 0.75]).reshape(1, 2, 1, 2)
    assert reconstruction_loss(rebuilt, images).item() == pytest.approx((0.5 + 0 + 1 + 0.5) / 4)
    left = torch.tensor([[[True, False]]])
    assert reconstruction_loss(rebuilt, images, left).item() == pytest.approx((0.5 + 1) / 2)


def test_reconstruction_error_against_numpy():
    images = torch.rand(3, 4, 5, 6, generator=_generator())
    rebuilt = torch.rand(3, 4, 5, 6, generator=_generator(1))
    valid = torch.rand(3, 5, 6, generator=_generator(2)) < 0.3
    errors = np.moveaxis(np.abs(images.numpy() - rebuilt.numpy()), 1, -1)
    assert reconstruction_loss(rebuilt, images).item() == pytest.approx(errors.mean(), rel=1e-5)
    masked = reconstruction_loss(rebuilt, images, valid).item()
    assert masked == pytest.approx(errors[valid.numpy()].mean(), rel=1e-5)


def test_all_valid_equals_no_mask():
    images, rebuilt = torch.rand(2, 2, 3, 4, 4, generator=_generator())
    everywhere = torch.ones(2, 4, 4, dtype=torch.bool)
    torch.testing.assert_close(
        reconstruction_loss(rebuilt, images, everywhere), reconstruction_loss(rebuilt, images)
    )


def test_invalid_pixels_change_neither_the_value_nor_a_gradient():
    images = torch.rand(1, 3, 2, 2, generator=_generator())
    rebuilt = torch.rand(1, 3, 2, 2, generator=_generator(1))
    valid = torch.tensor([[[True, False], [True, True]]])
    broken = rebuilt.clone()
    broken[0, :, 0, 1] = math.inf
    broken.requires_grad_()
    loss = reconstruction_loss(broken, images, valid)
    loss.backward()
    assert torch.equal(loss, reconstruction_loss(rebuilt, images, valid))
    assert (broken.grad[0, :, 0, 1] == 0).all()
    assert (broken.grad[0, :, valid[0]] != 0).all()


def test_nothing_valid_is_nan_and_not_zero():
    images = torch.zeros(1, 3, 2, 2)
    assert reconstruction_loss(images, images, torch.zeros(1, 2, 2, dtype=torch.bool)).isnan()


def test_images_in_0_255_are_refused():
    images = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    with pytest.raises(ValueError, match="divide by 255"):
        reconstruction_loss(images.float(), images)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="shape of images"):
        reconstruction_loss(torch.zeros(1, 1, 2, 2), torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="valid must be bool"):
        reconstruction_loss(
            torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), torch.ones(2, 2, dtype=torch.bool)
        )


def test_equation_3_by_hand():
    loss = weighted_loss(0.1, torch.tensor(0.5), torch.tensor(2.0))
    assert loss.item() == pytest.approx(0.1 * 0.5 + 0.9 * 2.0)


def test_w1_of_0_is_segmentation_alone_and_near_1_reconstruction_alone():
    loss_rec, loss_seg = torch.tensor(0.25), torch.tensor(3.0)
    assert weighted_loss(0.0, loss_rec, loss_seg) == loss_seg
    assert weighted_loss(1 - 1e-9, loss_rec, loss_seg).item() == pytest.approx(0.25)


def test_gradients_are_weighted():
    loss_rec = torch.tensor(1.0, requires_grad=True)
    loss_seg = torch.tensor(1.0, requires_grad=True)
    weighted_loss(0.25, loss_rec, loss_seg).backward()
    assert (loss_rec.grad.item(), loss_seg.grad.item()) == (0.25, 0.75)


@pytest.mark.parametrize("w1", [1.0, 1.5, -0.1, math.nan])
def test_w1_outside_its_range_is_refused(w1):
    with pytest.raises(ValueError, match=r"w1 must be in \[0, 1\)"):
        weighted_loss(w1, torch.tensor(1.0), torch.tensor(1.0))


def _some(num_classes=4, seed=0, width=5):
    """Logits, masks with unknown pixels and weights of the classes."""
    logits = 2 * torch.randn(3, num_classes, 6, width, generator=_generator(seed))
    masks = torch.randint(0, num_classes, (3, 6, width), generator=_generator(seed + 1))
    masks[:, 1:3] = IGNORE_INDEX
    return logits, masks, torch.rand(num_classes, generator=_generator(seed + 2)) + 0.1


def test_weighted_classes_are_torchs_own_mean():
    logits, masks, weights = _some()
    expected = torch.nn.functional.cross_entropy(
        logits, masks, weight=weights, ignore_index=IGNORE_INDEX
    )
    found = segmentation_loss(logits, masks, class_weights=weights)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        segmentation_loss(logits, masks, class_weights=torch.full((4,), 0.3)),
        segmentation_loss(logits, masks),
    )


def test_focal_loss_by_hand():
    """Two pixels whose classes have the probabilities 3/4 and 1/2."""
    logits, masks = _two_pixels()
    expected = -(0.25**2 * math.log(0.75) + 0.5**2 * math.log(0.5)) / 2
    assert segmentation_loss(logits, masks, focal=True).item() == pytest.approx(expected)
    weights = torch.tensor([3.0, 1.0])  # the first pixel is of class 1
    expected = -(0.25**2 * math.log(0.75) + 3 * 0.5**2 * math.log(0.5)) / 4
    found = segmentation_loss(logits, masks, class_weights=weights, focal=True)
    assert found.item() == pytest.approx(expected)


def test_dice_by_hand():
    """Two pixels: of class 1 with p (1/4, 3/4), of class 0 with p (1/2, 1/2)."""
    logits, masks = _two_pixels()
    dice = [2 * 0.5 / (0.75 + 1), 2 * 0.75 / (1.25 + 1)]
    assert dice_loss(logits, masks).item() == pytest.approx(1 - sum(dice) / 2)


def test_dice_leaves_out_classes_that_no_annotated_pixel_has():
    logits, masks = _two_pixels()
    masks[0, 0, 1] = IGNORE_INDEX  # class 1 remains, with p 3/4 of its one pixel
    assert dice_loss(logits, masks).item() == pytest.approx(1 - 2 * 0.75 / (0.75 + 1))


def test_dice_against_numpy():
    logits, masks, _ = _some()
    scores = np.moveaxis(logits.double().numpy(), 1, -1)
    shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    known = masks.numpy() != IGNORE_INDEX
    p, y = shares[known], np.eye(4)[masks.numpy()[known]]
    expected = 1 - (2 * (p * y).sum(0) / (p.sum(0) + y.sum(0))).mean()
    assert dice_loss(logits, masks).item() == pytest.approx(expected, rel=1e-5)


LOSSES = {
    "weighted": lambda logits, masks: segmentation_loss(
        logits, masks, class_weights=torch.tensor([0.2, 1.0, 3.0, 0.5])
    ),
    "focal": lambda logits, masks: segmentation_loss(logits, masks, focal=True),
    "dice": dice_loss,
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_unknown_pixels_change_neither_the_value_nor_a_gradient_of_other_losses(loss):
    first, masks, _ = _some()
    second = first.clone()
    second[:, :, 1:3] = 50 * torch.randn(3, 4, 2, 5, generator=_generator(5))
    losses = []
    for logits in (first.requires_grad_(), second.requires_grad_()):
        losses.append(loss(logits, masks))
        losses[-1].backward()
    assert losses[0].item() == losses[1].item()
    assert torch.equal(first.grad, second.grad)
    assert (first.grad[:, :, 1:3] == 0).all()
    assert (first.grad[:, :, 0] != 0).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_other_losses_of_nothing_are_nan_and_of_bf16_computed_in_float32(loss):
    logits, masks, _ = _some()
    assert loss(logits, torch.full_like(masks, IGNORE_INDEX)).isnan()
    logits = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(logits, masks.to(torch.uint8))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(logits.float(), masks))


def test_counted_pixels():
    masks = torch.tensor([[[0, 2], [2, IGNORE_INDEX]]])
    assert count_px(masks).item() == 3
    assert count_px(masks, torch.tensor([0.5, 9.0, 2.0])).item() == 4.5
