"""Errors of reconstructed pixels against NumPy, SciPy and cases computed by hand."""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from trainables.methods.losses import reconstruction_loss
from trainables.methods.pixel_errors import ERRORS, ssim
from trainables.settings.config import TrainingConfig

pytestmark = pytest.mark.numbers

BANDS = (1, 3, 8)
SIZE = (17, 23)


def _pair(num_bands, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, num_bands, *SIZE)
    target = torch.rand(shape, generator=generator)
    noise = torch.randn(shape, generator=generator)
    valid = torch.rand(2, *SIZE, generator=generator) < 0.7
    return target + 0.3 * noise, target, valid


def _naive_ssim(one, other, valid):
    """Wang et al.'s formula, window by window, over the pixels of it that count (H, W)."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    found = np.full(one.shape, np.nan)
    for row, column in np.argwhere(valid):
        rows, columns = row + offsets[:, None], column + offsets
        inside = (rows >= 0) & (rows < one.shape[0]) & (columns >= 0) & (columns < one.shape[1])
        rows, columns = rows.clip(0, one.shape[0] - 1), columns.clip(0, one.shape[1] - 1)
        weights = window * (inside & valid[rows, columns])
        weights = weights / weights.sum()
        x, y = one[rows, columns], other[rows, columns]
        mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
        var_x = (weights * (x - mean_x) ** 2).sum()
        var_y = (weights * (y - mean_y) ** 2).sum()
        cov = (weights * (x - mean_x) * (y - mean_y)).sum()
        found[row, column] = (
            (2 * mean_x * mean_y + 1e-4) * (2 * cov + 9e-4)
            / ((mean_x**2 + mean_y**2 + 1e-4) * (var_x + var_y + 9e-4))
        )  # fmt: skip
    return found


def _naive(kind, rebuilt, target, valid):
    """Errors of the pixels that count, one band of one patch at a time, float64 (H, W)."""
    error = rebuilt - target
    if kind == "l1":
        return np.abs(error)
    if kind == "l2":
        return error**2
    if kind == "charbonnier":
        return np.sqrt(error**2 + 1e-6)
    if kind == "l1_ssim":
        return 0.84 * (1 - _naive_ssim(rebuilt, target, valid)) + 0.16 * np.abs(error)
    assert kind == "gradient", f"{kind} needs an independent implementation here"
    found = np.abs(error)
    for row, column in np.argwhere(valid):
        for next_ in ((row, column + 1), (row + 1, column)):
            if next_[0] < valid.shape[0] and next_[1] < valid.shape[1] and valid[next_]:
                found[row, column] += abs(error[next_] - error[row, column])
    return found


def _naive_loss(kind, rebuilt, target, valid):
    rebuilt, target, valid = rebuilt.double().numpy(), target.double().numpy(), valid.numpy()
    pixels = [
        _naive(kind, rebuilt[n, c], target[n, c], valid[n])[valid[n]]
        for n in range(rebuilt.shape[0])
        for c in range(rebuilt.shape[1])
    ]
    return np.concatenate(pixels).mean()


def test_every_level_has_an_error():
    for kind in ERRORS:
        assert TrainingConfig(rec_loss=kind).rec_loss == kind
    assert TrainingConfig().rec_loss == "l1"


@pytest.mark.parametrize("num_bands", BANDS)
@pytest.mark.parametrize("kind", ERRORS)
def test_the_loss_is_the_mean_of_an_independent_implementation(kind, num_bands):
    rebuilt, target, valid = _pair(num_bands)
    expected = _naive_loss(kind, rebuilt, target, valid)
    assert reconstruction_loss(rebuilt, target, valid, kind=kind).item() == pytest.approx(
        expected, rel=1e-5
    )
    everywhere = torch.ones_like(valid)
    whole = _naive_loss(kind, rebuilt, target, everywhere)
    assert reconstruction_loss(rebuilt, target, kind=kind).item() == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("num_bands", BANDS)
@pytest.mark.parametrize("kind", ERRORS)
def test_bf16_is_computed_in_float32(kind, num_bands):
    rebuilt, target, valid = _pair(num_bands)
    rebuilt = rebuilt.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = reconstruction_loss(rebuilt, target, valid, kind=kind)
    assert found.dtype == torch.float32
    assert torch.equal(found, reconstruction_loss(rebuilt.float(), target, valid, kind=kind))


@pytest.mark.parametrize("num_bands", BANDS)
@pytest.mark.parametrize("kind", ERRORS)
def test_pixels_that_do_not_count_change_neither_the_value_nor_a_gradient(kind, num_bands):
    rebuilt, target, valid = _pair(num_bands)
    broken = torch.where(valid[:, None], rebuilt, math.inf)
    other = torch.where(valid[:, None], target, 55.0)
    found = []
    for one, image in ((rebuilt, target), (broken, other)):
        one = one.clone().requires_grad_()
        loss = reconstruction_loss(one, image, valid, kind=kind)
        loss.backward()
        found.append((loss.detach(), one.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    of_pixel = found[0][1].movedim(1, -1)
    assert (of_pixel[~valid] == 0).all()
    assert (of_pixel[valid] != 0).float().mean() > 0.5  # signs of neighbours may cancel


@pytest.mark.parametrize("kind", ERRORS)
def test_where_no_pixel_counts_the_mean_is_nan_and_a_share_of_none_is_0(kind):
    rebuilt, target, valid = _pair(3)
    nothing = torch.zeros_like(valid)
    assert reconstruction_loss(rebuilt, target, nothing, kind=kind).isnan()
    rebuilt.requires_grad_()
    share = reconstruction_loss(rebuilt, target, nothing, torch.tensor(5.0), kind=kind)
    share.backward()
    assert share.item() == 0
    assert (rebuilt.grad == 0).all()


@pytest.mark.parametrize("kind", ERRORS)
def test_a_lone_pixel_has_an_error(kind):
    """Discs of a few pixels hold no whole window, and may hold no pair of neighbours."""
    rebuilt, target, valid = _pair(3)
    lone = torch.zeros_like(valid)
    lone[0, 4, 5] = True
    loss = reconstruction_loss(rebuilt, target, lone, kind=kind)
    assert loss.item() == pytest.approx(_naive_loss(kind, rebuilt, target, lone), rel=1e-4)


@pytest.mark.parametrize("kind", ERRORS)
def test_a_perfect_reconstruction_has_the_least_loss(kind):
    _, target, valid = _pair(3)
    least = reconstruction_loss(target, target, valid, kind=kind).item()
    assert least == pytest.approx(1e-3 if kind == "charbonnier" else 0, abs=1e-5)


def test_ssim_of_whole_windows_is_that_of_gaussian_filters():
    """As scikit-image computes it with `gaussian_weights=True, use_sample_covariance=False`."""
    rebuilt, target, valid = _pair(3)

    def blurred(x):
        return gaussian_filter(x, sigma=1.5, truncate=3.5, axes=(2, 3))

    x, y = rebuilt.double().numpy(), target.double().numpy()
    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    cov = blurred(x * y) - mean_x * mean_y
    expected = (2 * mean_x * mean_y + 0.01**2) * (2 * cov + 0.03**2)
    expected /= (mean_x**2 + mean_y**2 + 0.01**2) * (var_x + var_y + 0.03**2)
    found = ssim(rebuilt, target, torch.ones_like(valid)).numpy()
    inner = np.s_[..., 5:-5, 5:-5]
    np.testing.assert_allclose(found[inner], expected[inner], atol=1e-5)


def test_gradients_by_hand():
    """Errors 0, 1, 3: absolute 4 / 3, differences 1 and 2 of three pixels."""
    errors = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    loss = reconstruction_loss(errors, torch.zeros_like(errors), kind="gradient")
    assert loss.item() == pytest.approx(4 / 3 + (1 + 2) / 3)
    valid = torch.tensor([[[True, True, False]]])
    loss = reconstruction_loss(errors, torch.zeros_like(errors), valid, kind="gradient")
    assert loss.item() == pytest.approx((1 + 1) / 2)
