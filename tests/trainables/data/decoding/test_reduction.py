"""Blocks of pixels: means of images, middles of masks."""

import numpy as np
import pytest

from trainables.data.decoding.reduction import block_centers, reduce_image


def _reduced_by_loops(image, hidden, d):
    bands, height, width = image.shape[0], image.shape[1] // d, image.shape[2] // d
    means, shown = np.zeros((bands, height, width), image.dtype), np.zeros((height, width), bool)
    for row in range(height):
        for column in range(width):
            place = np.s_[row * d : row * d + d, column * d : column * d + d]
            seen = ~hidden[place]
            shown[row, column] = seen.any()
            for band in range(bands if seen.any() else 0):
                values = image[band][place][seen]
                if image.dtype.kind == "f":
                    means[band, row, column] = np.mean(values, dtype=np.float64)
                else:
                    total, num = sum(values.tolist()), len(values)
                    means[band, row, column] = (2 * total + num) // (2 * num)
    return means, shown


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("d", [1, 2, 3, 7])
def test_reduction_against_loops(dtype, d):
    random = np.random.default_rng(d)
    top = {"uint8": 256, "uint16": 65_536, "float32": 9}[dtype]
    image = (random.random((2, 23, 17)) * top).astype(dtype)
    hidden = random.random((23, 17)) < 0.6
    hidden[:8, :8] = True  # whole blocks
    image[:, hidden] = 0
    found, shown = reduce_image(image, hidden, d)
    expected, expected_shown = _reduced_by_loops(image, hidden, d)
    assert found.dtype == dtype
    assert np.array_equal(found, expected)
    assert np.array_equal(shown, expected_shown)
    found, shown = reduce_image(image, None, d)
    expected, _ = _reduced_by_loops(image, np.zeros_like(hidden), d)
    assert np.array_equal(found, expected)
    assert shown is None


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_halves_are_rounded_up(dtype):
    image = np.array([[[1, 2], [2, 1]], [[0, 0], [0, 1]], [[2, 3], [3, 4]]], dtype=dtype)
    found, _ = reduce_image(image, None, 2)
    assert found[:, 0, 0].tolist() == [2, 0, 3]  # of 1.5, 0.25 and 3
    hidden = np.array([[False, False], [True, True]])
    found, _ = reduce_image(np.where(hidden, 0, image).astype(dtype), hidden, 2)
    assert found[:, 0, 0].tolist() == [2, 0, 3]  # of 1.5, 0 and 2.5


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65_535)])
def test_sums_of_large_blocks_do_not_overflow(dtype, top):
    found, _ = reduce_image(np.full((1, 600, 600), top, dtype), None, 600)
    assert found.item() == top


def test_the_center_of_a_block_stands_for_it():
    mask = np.arange(7 * 5, dtype=np.uint8).reshape(7, 5)
    assert block_centers(mask, 2).tolist() == [[6, 8], [16, 18], [26, 28]]
    assert block_centers(mask, 3).tolist() == [[6], [21]]
    assert np.array_equal(block_centers(mask, 1), mask)
