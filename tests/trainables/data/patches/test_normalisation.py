import numpy as np
import pytest
import torch

from trainables.data.patches.normalisation import to_images, to_target

pytestmark = pytest.mark.numbers


def _images(num_bands=3, seed=0):
    return torch.rand(2, num_bands, 9, 7, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_bands", [1, 3, 8])
def test_each_band_of_each_patch_against_numpy(num_bands):
    images = _images(num_bands)
    pixels = images.double().numpy()
    mean, variance = pixels.mean((2, 3), keepdims=True), pixels.var((2, 3), keepdims=True)
    expected = (pixels - mean) / np.sqrt(variance + 1e-6)
    found = to_target(images, "normalised")
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_pixels_that_show_nothing_enter_neither_mean_nor_deviation():
    images = _images()
    shown = torch.rand(2, 9, 7, generator=torch.Generator().manual_seed(1)) < 0.6
    expected = to_target(images, "normalised", shown)
    images = torch.where(shown[:, None], images, 77.0)
    found = to_target(images, "normalised", shown)
    assert torch.equal(found.movedim(1, -1)[shown], expected.movedim(1, -1)[shown])
    one = found[0, 0][shown[0]]
    assert one.mean().item() == pytest.approx(0, abs=1e-5)
    assert one.std(correction=0).item() == pytest.approx(1, abs=1e-3)


def test_brightness_and_contrast_of_a_data_set_do_not_matter():
    images = _images()
    found = to_target(0.1 * images + 0.6, "normalised")
    torch.testing.assert_close(found, to_target(images, "normalised"), atol=2e-3, rtol=0)


def test_flat_patches_and_patches_that_show_nothing_stay_finite():
    flat = torch.full((1, 2, 4, 4), 0.3)
    assert to_target(flat, "normalised").abs().max() < 1e-3
    nothing = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert to_target(flat, "normalised", nothing).isfinite().all()


def test_there_and_back_is_the_image():
    images = _images()
    back = to_images(to_target(images, "normalised"), "normalised", images)
    torch.testing.assert_close(back, images)


def test_an_image_is_its_own_target():
    images, rebuilt = _images(), _images(seed=1)
    assert to_target(images, "image") is images
    assert to_images(rebuilt, "image", images) is rebuilt
