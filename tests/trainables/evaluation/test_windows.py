import numpy as np
import pytest
import torch

from trainables.evaluation.windows import (
    WEIGHT_FLOOR,
    SlidingWindows,
    blend_weights,
    overlap_add,
)

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")


def _image(height, width, num_bands=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num_bands, height, width), dtype=np.uint8)


def _by_place(images):
    """An output that differs with the place in the window: seams would show."""
    rows, columns = torch.meshgrid(
        torch.arange(images.shape[2]), torch.arange(images.shape[3]), indexing="ij"
    )
    return images.float() * (1 + rows / 50) + columns.square() / 10


def _mean(
    image,
    forward,
    window_px,
    step_px,
    *,
    blended=True,
    batch_size=2,
    rows_at_once=1,
    shown=None,
    seen=None,
):
    """Weighted mean of the outputs of all windows; `seen` gets the size of every batch."""
    height, width = image.shape[1:]
    shown = np.ones((height, width), bool) if shown is None else shown
    calls = []

    def counted(images):
        calls.append(len(images))
        return forward(images)

    windows = SlidingWindows(
        height_px=height, width_px=width, window_px=window_px, step_px=step_px, blended=blended
    )
    counts = []
    strips = [
        (top, bottom, sums / windows.weight_sums(top, bottom))
        for top, bottom, sums in overlap_add(
            counted,
            lambda top, bottom: (torch.from_numpy(image[:, top:bottom]), shown[top:bottom]),
            windows,
            num_outputs=len(image),
            batch_size=batch_size,
            device=CPU,
            rows_at_once=rows_at_once,
            after_windows=counts.append,
        )
    ]
    assert sum(counts) == windows.num_windows
    assert strips[0][0] == 0
    assert strips[-1][1] == height
    assert [top for top, _, _ in strips[1:]] == [bottom for _, bottom, _ in strips[:-1]]
    if seen is not None:
        seen.extend(calls)
    return torch.cat([values for _, _, values in strips], dim=1).numpy()


def _slowly(image, forward, window_px, step_px, blended):
    """Weighted mean over all windows, in float64, one window at a time."""
    _, height, width = image.shape
    high, wide = min(window_px, height), min(window_px, width)

    def weight(length):
        if not blended:
            return np.ones(length)
        phase = np.pi * (np.arange(length) + 0.5) / length
        return WEIGHT_FLOOR + (1 - WEIGHT_FLOOR) * np.sin(phase) ** 2

    weights = weight(high)[:, None] * weight(wide)[None]
    total, sums = np.zeros(image.shape), np.zeros((height, width))
    for top in sorted({min(t, height - high) for t in range(0, height, step_px)}):
        for left in sorted({min(x, width - wide) for x in range(0, width, step_px)}):
            place = np.s_[top : top + high, left : left + wide]
            output = forward(torch.from_numpy(image[(slice(None), *place)].copy())[None])[0]
            total[(slice(None), *place)] += output.double().numpy() * weights
            sums[place] += weights
    return total / sums


@pytest.mark.parametrize(
    ("height", "width", "window_px", "step_px"),
    [(70, 45, 32, 16), (70, 45, 32, 20), (32, 81, 32, 31), (20, 50, 32, 10), (17, 23, 32, 32),
     (64, 64, 32, 32), (50, 40, 16, 3)],
)  # fmt: skip
@pytest.mark.parametrize("blended", [True, False])
@pytest.mark.parametrize("rows_at_once", [1, 2, 99])
def test_against_a_slow_reference(height, width, window_px, step_px, blended, rows_at_once):
    image = _image(height, width)
    windows = {"window_px": window_px, "step_px": step_px, "blended": blended}
    mean = _mean(image, _by_place, **windows, rows_at_once=rows_at_once)
    np.testing.assert_allclose(mean, _slowly(image, _by_place, **windows), rtol=1e-4, atol=1e-3)


def test_sums_by_hand():
    """Windows of 2 x 2 over 3 x 3 pixels: corners lie in one, sides in two, the middle in four."""
    windows = SlidingWindows(height_px=3, width_px=3, window_px=2, step_px=1)
    assert (windows.tops, windows.lefts, windows.num_windows) == ([0, 1], [0, 1], 4)
    counts = [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert windows.weight_sums().tolist() == counts
    assert windows.weight_sums(1, 2).tolist() == counts[1:2]
    image = torch.arange(9).reshape(1, 3, 3)
    strips = overlap_add(
        lambda images: torch.cat([images, 10 * images], dim=1),
        lambda top, bottom: (image[:, top:bottom], None),
        windows,
        batch_size=3,
        device=CPU,
    )
    found = [(top, bottom, sums.tolist()) for top, bottom, sums in strips]
    first, rest = [[0, 2, 2]], [[6, 16, 10], [6, 14, 8]]
    assert found == [
        (0, 1, [first, [[10 * value for value in row] for row in first]]),
        (1, 3, [rest, [[10 * value for value in row] for row in rest]]),
    ]


def test_rows_of_windows_share_a_batch():
    image, batches = _image(70, 45), []
    _mean(image, _by_place, 32, 20, batch_size=4, rows_at_once=2, seen=batches)
    assert batches == [4, 2]  # three rows of two windows


def test_a_network_without_surroundings_gives_its_output_back():
    image = _image(71, 53)
    np.testing.assert_allclose(_mean(image, torch.Tensor.float, 32, 20), image, rtol=1e-4)


def test_the_batch_size_changes_nothing():
    image = _image(70, 45)
    one = _mean(image, _by_place, 32, 20, batch_size=1)
    assert np.array_equal(one, _mean(image, _by_place, 32, 20, batch_size=99))


def test_weights_by_hand():
    assert blend_weights(1).tolist() == [1.0]
    low, high = np.sin(np.pi / 8) ** 2, np.sin(3 * np.pi / 8) ** 2
    expected = WEIGHT_FLOOR + (1 - WEIGHT_FLOOR) * np.array([low, high, high, low])
    np.testing.assert_allclose(blend_weights(4).numpy(), expected, rtol=1e-6)


def test_weights_of_half_overlap_add_up_to_a_constant():
    weights = blend_weights(64)
    np.testing.assert_allclose((weights[:32] + weights[32:]).numpy(), 1 + WEIGHT_FLOOR, rtol=1e-6)
    assert weights.min() >= WEIGHT_FLOOR


def test_blending_leaves_no_seam():
    """A jump of 100 between neighbouring windows becomes a slope."""
    image = np.zeros((1, 8, 96), dtype=np.uint8)
    image[:, :, 48:] = 100

    def level(images):  # each window says one number: the value of its middle column
        middle = images.shape[3] // 2
        return images[:, :, :, middle : middle + 1].float().expand(images.shape)

    row = _mean(image, level, 32, 16)[0, 4]
    assert np.abs(np.diff(row)).max() < 11
    assert row[:32].max() < 0.2
    assert row[64:].min() > 99.8


def test_windows_that_show_nothing_are_not_computed():
    image, shown = _image(64, 96), np.zeros((64, 96), bool)
    shown[40:, 70:] = True
    calls = []
    blended = _mean(image, torch.Tensor.float, 32, 32, shown=shown, seen=calls)
    assert sum(calls) == 1
    np.testing.assert_allclose(blended[:, shown], image[:, shown], rtol=1e-5)
    assert np.isfinite(blended).all()


def test_nothing_to_show_at_all():
    blended = _mean(_image(40, 40), torch.Tensor.float, 32, 16, shown=np.zeros((40, 40), bool))
    assert (blended == 0).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"step_px": 0}, "step_px must be in 1"),
        ({"step_px": 33}, "step_px must be in 1"),
        ({"width_px": 0}, "image must have pixels, got 0 x 40 px"),
    ],
)
def test_sizes_out_of_range_are_refused(changed, message):
    sizes = {"height_px": 40, "width_px": 40, "window_px": 32, "step_px": 16}
    with pytest.raises(ValueError, match=message):
        SlidingWindows(**sizes | changed)


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        _mean(_image(40, 40), torch.Tensor.float, 32, 16, batch_size=0)
