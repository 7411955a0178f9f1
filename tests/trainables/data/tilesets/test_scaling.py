import numpy as np
import pytest
import torch

from trainables.data.tilesets import scaling as scaling_module
from trainables.data.tilesets.scaling import BandScaling, fit_scaling, uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.errors import DataError

UINT16 = BandScaling(dtype="uint16", low=(100.0, 0.0), high=(300.0, 1000.0))


def _tiles(*images, shown=None):
    return pack_tiles(
        [
            Tile(
                name=f"t{index}",
                image=image,
                mask=np.zeros(image.shape[1:], np.uint8),
                shown=shown,
            )
            for index, image in enumerate(images)
        ]
    )


def _pixels(values, dtype):
    """Values as an image of one tensor (C, 1, W)."""
    return torch.from_numpy(np.array(values, dtype=dtype)[:, None, :])


def test_uint8_is_exactly_the_value_over_255():
    values = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(uint8_scaling(1).to_unit(values), values.float() / 255)


def test_a_hand_computed_case_in_uint16():
    images = _pixels([[100, 150, 300], [0, 250, 1000]], np.uint16)
    unit = UINT16.to_unit(images)
    assert unit.dtype == torch.float32
    assert unit.tolist() == [[[0.0, 0.25, 1.0]], [[0.0, 0.25, 1.0]]]


def test_values_beyond_the_ends_are_clipped():
    images = _pixels([[0, 99, 65_535], [1001, 0, 40_000]], np.uint16)
    assert UINT16.to_unit(images).tolist() == [[[0.0, 0.0, 1.0]], [[1.0, 0.0, 1.0]]]


def test_a_batch_is_scaled_like_each_of_its_images():
    batch = torch.from_numpy(np.arange(24, dtype=np.uint16).reshape(3, 2, 2, 2) * 40)
    expected = torch.stack([UINT16.to_unit(image) for image in batch])
    assert torch.equal(UINT16.to_unit(batch), expected)


def test_the_input_is_not_changed():
    scaling = BandScaling(dtype="float32", low=(0.0,), high=(2.0,))
    image = torch.full((1, 2, 2), 5.0)
    scaling.to_unit(image)
    scaling.to_stored(image)
    assert (image == 5).all()


@pytest.mark.parametrize(
    "scaling",
    [uint8_scaling(2), BandScaling(dtype="uint16", low=(0.0, 17.5), high=(65_535.0, 60_000.25))],
)
def test_every_whole_number_comes_back(scaling):
    ends = np.ceil(scaling.low).astype(int), np.floor(scaling.high).astype(int)
    num = min(high - low for low, high in zip(*ends, strict=True)) + 1
    values = np.array([np.arange(low, low + num) for low in ends[0]])
    images = _pixels(values, scaling.dtype)
    back = scaling.to_stored(scaling.to_unit(images))
    assert back.dtype == images.dtype
    assert np.array_equal(back.numpy(), images.numpy())


def test_float32_comes_back_up_to_rounding():
    scaling = BandScaling(dtype="float32", low=(-3.0, 0.0), high=(5.0, 1e-3))
    images = _pixels([[-3.0, 0.5, 4.9], [0.0, 3e-4, 1e-3]], np.float32)
    back = scaling.to_stored(scaling.to_unit(images))
    assert back.dtype == torch.float32
    torch.testing.assert_close(back, images, rtol=1e-6, atol=1e-6)


def test_what_the_type_cannot_hold_is_clipped_not_wrapped():
    wide = BandScaling(dtype="uint16", low=(0.0,), high=(60_000.0,))
    unit = torch.tensor([[[-0.5, 0.0, 1.0, 2.0]]])
    assert wide.to_stored(unit).tolist() == [[[0, 0, 60_000, 65_535]]]
    assert uint8_scaling(1).to_stored(unit).tolist() == [[[0, 0, 255, 255]]]
    free = BandScaling(dtype="float32", low=(1.0,), high=(3.0,))
    assert free.to_stored(unit).tolist() == [[[0.0, 1.0, 3.0, 5.0]]]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_the_ends_are_percentiles_of_all_training_pixels(dtype):
    random = np.random.default_rng(0)
    images = [random.normal(500, 90, (3, side, 40)).astype(dtype) for side in (30, 50)]
    scaling = fit_scaling(_tiles(*images))
    pooled = np.concatenate([image.reshape(3, -1) for image in images], axis=1)
    expected = np.percentile(pooled.astype(float), (0.1, 99.9), axis=1)
    assert scaling.dtype == dtype
    np.testing.assert_allclose([scaling.low, scaling.high], expected)


def test_uint8_keeps_its_whole_range_whatever_the_tiles_hold():
    assert fit_scaling(_tiles(np.full((3, 4, 4), 9, np.uint8))) == uint8_scaling(3)


def test_an_outlier_squeezes_nothing():
    image = np.arange(10_000, dtype=np.uint16).reshape(1, 100, 100) % 1000
    image[0, 50, 50] = 65_535
    assert fit_scaling(_tiles(image)).high[0] < 1000


def test_a_band_of_one_value_becomes_0():
    image = np.stack([np.full((5, 5), 7), np.arange(25).reshape(5, 5)]).astype(np.uint16)
    scaling = fit_scaling(_tiles(image))
    assert (scaling.low[0], scaling.high[0]) == (7.0, 8.0)
    assert (scaling.to_unit(torch.from_numpy(image))[0] == 0).all()


def test_hidden_pixels_decide_nothing():
    image = np.full((1, 20, 20), 600, np.uint16)
    image[0, ::2] = np.arange(100, 300)[: 10 * 20].reshape(10, 20)
    shown = np.zeros((20, 20), bool)
    shown[::2] = True
    scaling = fit_scaling(_tiles(image, shown=shown))
    expected = np.percentile(image[0][shown].astype(float), (0.1, 99.9))
    np.testing.assert_allclose([scaling.low[0], scaling.high[0]], expected)
    assert scaling.high[0] < 300


def test_large_sets_are_sampled_on_a_grid(monkeypatch):
    image = np.random.default_rng(1).integers(0, 9000, (2, 60, 50), dtype=np.uint16)
    monkeypatch.setattr(scaling_module, "_MAX_SAMPLED_PX", 60 * 50 // 9)
    scaling = fit_scaling(_tiles(image))
    sample = image[:, ::4, ::4].reshape(2, -1).astype(float)  # ceil(sqrt(3000 / 333)) = 4
    np.testing.assert_allclose(
        [scaling.low, scaling.high], np.percentile(sample, (0.1, 99.9), axis=1)
    )


def test_tiles_that_show_nothing():
    tiles = _tiles(np.zeros((1, 4, 4), np.uint16), shown=np.zeros((4, 4), bool))
    with pytest.raises(DataError, match="training tiles must show something, got nodata"):
        fit_scaling(tiles)


def test_plain_data_and_back():
    plain = UINT16.to_plain()
    assert plain == {"dtype": "uint16", "low": [100.0, 0.0], "high": [300.0, 1000.0]}
    assert BandScaling.from_plain(plain) == UINT16


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "int16"}, "dtype must be one of uint8, uint16, float32, got 'int16'"),
        ({"low": (1.0,)}, "scaling must have a low below a high for every band"),
        ({"low": (), "high": ()}, "scaling must have a low"),
        ({"low": (300.0, 0.0)}, r"scaling must have .* got low \(300.0, 0.0\), high \(300.0, "),
        ({"low": (301.0, 0.0)}, "scaling must have a low"),
        ({"low": (float("nan"), 0.0)}, "scaling must have a low"),
        ({"high": (float("inf"), 1.0)}, "scaling must have a low"),
    ],
)
def test_scalings_that_cannot_be(fields, message):
    plain = {"dtype": "uint16", "low": (100.0, 0.0), "high": (300.0, 1000.0)}
    with pytest.raises(DataError, match=message):
        BandScaling(**(plain | fields))
