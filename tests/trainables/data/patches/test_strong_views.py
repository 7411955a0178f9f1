import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from trainables.data.patches.normalisation import band_statistics
from trainables.data.patches.strong_views import (
    Changes,
    blur,
    change_colours,
    draw_changes,
    in_boxes,
    make_views,
    noise_like,
)

SIDE = 16
BANDS = pytest.mark.parametrize("num_bands", [1, 3, 8])


def _patches(num, num_bands, seed=0):
    generator = torch.Generator().manual_seed(seed)
    patches = torch.rand(num, num_bands, SIDE, SIDE, generator=generator)
    shown = torch.rand(num, SIDE, SIDE, generator=generator) > 0.3
    return patches, shown


def _changes(num, num_bands, **changed):
    """No change, but for what is given; boxes of no pixel."""
    nothing = {
        "brightness": torch.ones(num, num_bands),
        "contrast": torch.ones(num, num_bands),
        "blur_px": torch.zeros(num),
        "noise": torch.zeros(num),
        "noise_seeds": tuple(range(num)),
        "boxes": torch.zeros(num, 4, dtype=torch.int64),
    }
    return Changes(**nothing | changed)


def _drawn(numbers=range(4), *, seed=0, step=0, num_bands=3, patch_px=SIDE):
    return draw_changes(seed, step, [*numbers], num_bands=num_bands, patch_px=patch_px)


def test_colours_by_hand():
    """A band of 0.2 and 0.6: mean 0.4; half the contrast makes 0.3 and 0.5, then doubled."""
    patches = torch.tensor([0.2, 0.6]).reshape(1, 1, 1, 2)
    mean = patches.mean(dim=(2, 3), keepdim=True)
    found = change_colours(patches, mean, torch.tensor([[2.0]]), torch.tensor([[0.5]]))
    torch.testing.assert_close(found.flatten(), torch.tensor([0.6, 1.0]))


@BANDS
def test_colours_change_every_band_of_every_patch_on_its_own(num_bands):
    patches, shown = _patches(2, num_bands)
    generator = torch.Generator().manual_seed(1)
    brightness, contrast = torch.rand(2, 2, num_bands, generator=generator) + 0.5
    views = make_views(
        patches, shown, _changes(2, num_bands, brightness=brightness, contrast=contrast), 2
    )
    for patch in range(2):
        seen = shown[patch].numpy()
        for band in range(num_bands):
            values = patches[patch, band].double().numpy()
            mean = values[seen].mean()
            gain, slope = float(brightness[patch, band]), float(contrast[patch, band])
            expected = np.clip(gain * (mean + slope * (values - mean)), 0, 1)
            found = views.images[patch, band].numpy()
            np.testing.assert_allclose(found[seen], expected[seen], atol=1e-6)
            assert (found[~seen] == patches[patch, band].numpy()[~seen]).all()


@BANDS
def test_a_blur_is_that_of_scipy_over_pixels_that_show_something(num_bands):
    patches, shown = _patches(3, num_bands)
    sigmas = [0.0, 0.7, 2.0]
    found = blur(patches, shown, torch.tensor(sigmas))
    for patch, sigma in enumerate(sigmas):
        seen = shown[patch].double().numpy()

        def means(values, sigma=sigma):
            return gaussian_filter(values, sigma, mode="constant", truncate=25) if sigma else values

        for band in range(num_bands):
            values = patches[patch, band].double().numpy()
            expected = means(values * seen)[seen > 0] / means(seen)[seen > 0]
            np.testing.assert_allclose(found[patch, band].numpy()[seen > 0], expected, atol=1e-5)


def test_a_patch_that_shows_nothing_stays_a_number_and_as_it_is():
    patches, _ = _patches(2, 3)
    shown = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    changes = _drawn(range(2))
    views = make_views(patches, shown, changes, 2)
    assert torch.equal(views.images, torch.where(views.pasted[:, None], patches[[1, 0]], patches))
    assert not views.shown.any()


def test_what_shows_nothing_changes_no_pixel_that_does():
    patches, shown = _patches(3, 3)
    other = torch.where(shown[:, None], patches, 1 - patches)
    one, two = (make_views(x, shown, _drawn(range(3)), 3) for x in (patches, other))
    assert torch.equal(one.shown, two.shown)
    seen = one.shown[:, None].expand_as(one.images)
    assert torch.equal(one.images[seen], two.images[seen])
    assert not torch.equal(one.images, two.images)


@BANDS
def test_noise_has_the_deviation_asked_for_in_every_band(num_bands):
    """Of what the band's pixels that show something have."""
    side = 128
    generator = torch.Generator().manual_seed(0)
    scale = torch.linspace(0.05, 0.2, num_bands)[:, None, None]
    patches = 0.5 + scale * (torch.rand(2, num_bands, side, side, generator=generator) - 0.5)
    shown = torch.ones(2, side, side, dtype=torch.bool)
    changes = _changes(2, num_bands, noise=torch.tensor([0.25, 0.0]))
    views = make_views(patches, shown, changes, 2)
    added = views.images - patches
    _, deviation = band_statistics(patches, shown)
    np.testing.assert_allclose(added[0].std(dim=(1, 2)) / deviation[0].flatten(), 0.25, rtol=0.03)
    assert added[0].mean().abs() < 1e-3
    torch.testing.assert_close(views.images[1], patches[1])
    if num_bands > 1:  # bands have noise of their own
        together = np.corrcoef(added[0].reshape(num_bands, -1).numpy())
        assert abs(together - np.eye(num_bands)).max() < 0.05


def test_noise_follows_from_the_seed_of_its_patch():
    patches = torch.zeros(2, 3, 8, 8)
    one, two = noise_like(patches, [5, 6]), noise_like(patches, [6, 5])
    assert torch.equal(one, two.flip(0))
    assert not torch.equal(one[0], one[1])


def test_views_hold_a_box_of_the_next_patch_with_what_is_said_of_it():
    """Patches of one value each; the last view holds a box of the first patch."""
    patches = torch.arange(3.0)[:, None, None, None].expand(3, 2, 4, 4) / 10
    boxes = torch.tensor([[0, 0, 2, 4], [1, 1, 3, 2], [0, 3, 4, 4]])
    shown = torch.ones(3, 4, 4, dtype=torch.bool)
    shown[1, 0, 0] = shown[2, 3, 0] = False
    views = make_views(patches, shown, _changes(3, 2, boxes=boxes), 3)
    expected = torch.tensor(
        [
            [[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
            [[1, 1, 1, 1], [1, 2, 1, 1], [1, 2, 1, 1], [1, 1, 1, 1]],
            [[2, 2, 2, 0], [2, 2, 2, 0], [2, 2, 2, 0], [2, 2, 2, 0]],
        ]
    )
    for band in range(2):
        torch.testing.assert_close(views.images[:, band], expected / 10)
    labels = torch.arange(3)[:, None, None].expand(3, 4, 4)
    assert torch.equal(views.mix(labels), expected)
    hidden = [tuple(place) for place in (~views.shown).nonzero().tolist()]
    assert hidden == [(0, 0, 0), (1, 0, 0), (2, 3, 0)]


def test_a_patch_that_is_there_for_its_box_alone_has_no_view():
    patches, shown = _patches(3, 3)
    changes = _drawn(range(3))
    whole, part = make_views(patches, shown, changes, 3), make_views(patches, shown, changes, 2)
    assert (len(part.images), len(part.patches)) == (2, 3)
    assert torch.equal(part.images, whole.images[:2])
    assert torch.equal(part.shown, whole.shown[:2])


def test_one_patch_alone_is_mixed_with_itself():
    patches, shown = _patches(1, 3)
    views = make_views(patches, shown, _changes(1, 3, boxes=torch.tensor([[0, 0, 8, 16]])), 1)
    torch.testing.assert_close(views.images, patches)
    assert torch.equal(views.shown, shown)


def test_boxes_have_half_the_area_and_every_shape_and_place():
    """As in French et al. (2020): sides between half of the patch's and all of it."""
    side = 64
    boxes = _drawn(range(300), patch_px=side).boxes
    top, left, bottom, right = boxes.unbind(1)
    height, width = bottom - top, right - left
    assert torch.stack([top, left]).min() >= 0
    assert torch.stack([bottom, right]).max() <= side
    areas = in_boxes(boxes, side).sum(dim=(1, 2))
    assert torch.equal(areas, height * width)
    np.testing.assert_allclose(areas / side**2, 0.5, atol=0.02)
    for sides in (height, width):
        assert sides.min() >= 32
        assert sides.max() >= 62
        # exp(-u log 2) of an even u has this mean: (1 - 1/2) / log 2.
        assert float(sides.float().mean()) / side == pytest.approx(0.5 / math.log(2), abs=0.02)
    covered = in_boxes(boxes, side).float().mean(dim=0)
    assert covered[side // 2, side // 2] > 0.95
    for axis in (0, 1):  # all rows and columns are reached, and neither end more often
        reached = covered.amax(dim=axis)
        assert reached.min() > 0.03
        torch.testing.assert_close(reached, reached.flip(0), atol=0.1, rtol=0)


def test_draws_are_of_the_widths_that_they_are_said_to_have():
    changes = _drawn(range(600), num_bands=2)
    coloured = (changes.brightness != 1).all(dim=1)
    assert float(coloured.float().mean()) == pytest.approx(0.8, abs=0.05)
    assert torch.equal(coloured, (changes.contrast != 1).all(dim=1))
    for factors in (changes.brightness, changes.contrast):
        assert 0.45 <= factors.min() < 0.6
        assert 1.5 < factors.max() <= 1.65
        bands = factors[coloured, 0] / factors[coloured, 1]
        assert 0.9 / 1.1 <= bands.min() < bands.max() <= 1.1 / 0.9
    blurred = changes.blur_px > 0
    assert float(blurred.float().mean()) == pytest.approx(0.5, abs=0.07)
    assert 0.1 <= changes.blur_px[blurred].min() < 0.2
    assert 1.9 < changes.blur_px.max() <= 2
    assert changes.noise.min() >= 0
    assert 0.24 < changes.noise.max() <= 0.25


def test_draws_follow_from_seed_step_and_patch_alone():
    """A worker draws those of its patches, whatever the others are."""
    whole, part = _drawn(range(5)), _drawn([3, 1])
    for name in ("brightness", "contrast", "blur_px", "noise", "boxes"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[[3, 1]]), name
    assert part.noise_seeds == (whole.noise_seeds[3], whole.noise_seeds[1])
    assert len({*whole.noise_seeds}) == 5
    for other in (_drawn(range(5), seed=1), _drawn(range(5), step=1)):
        assert not torch.equal(other.contrast, whole.contrast)
        assert not {*other.noise_seeds} & {*whole.noise_seeds}
