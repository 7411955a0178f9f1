import io

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile
from trainables.networks.build import build_network
from trainables.networks.network import Network
from trainables.settings.config import TrainingConfig
from trainables.trial.results.picture import trial_picture

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")
TRAINING = TrainingConfig(infer_window_px=64, infer_step_px=64, batch_size=2)
COLORS = np.array([(255, 255, 255), (0, 0, 255), (0, 255, 0)], dtype=np.uint8)
GAP, CAPTION = 8, 24


class FirstBandDecides(Network):
    """Class 2 where the first band is bright, class 1 elsewhere."""

    def segment(self, images):
        bright = (images[:, 0] > 0.5).float()
        return torch.stack([torch.zeros_like(bright), 1 - bright, bright], dim=1)


def _tile(height=40, width=50, num_bands=3):
    generator = np.random.default_rng(0)
    mask = generator.integers(0, 3, (height, width), dtype=np.uint8)
    mask[:5] = IGNORE_INDEX
    image = generator.integers(0, 256, (num_bands, height, width), dtype=np.uint8)
    return Tile(name="a", image=image, mask=mask)


def _panels(model, tile, num):
    """The picture (H, W, 3), cut at the white gaps."""
    png = trial_picture(
        model,
        tile,
        [tuple(map(int, c)) for c in COLORS],
        TRAINING,
        uint8_scaling(len(tile.image)),
        CPU,
    )
    assert png.startswith(b"\x89PNG")
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    width = (sheet.shape[1] + GAP) // num - GAP
    assert sheet.shape[1] == num * (width + GAP) - GAP
    for i in range(1, num):
        assert (sheet[:, i * (width + GAP) - GAP : i * (width + GAP)] == 255).all()
    factor = -(-128 // min(128, tile.image.shape[2]))
    below = sheet[CAPTION:]
    panels = [below[:, i * (width + GAP) : i * (width + GAP) + width] for i in range(num)]
    for panel in panels:  # enlarged by a whole factor, nothing blurred
        blocks = panel[::factor, ::factor]
        assert np.array_equal(panel, blocks.repeat(factor, axis=0).repeat(factor, axis=1))
    return [panel[::factor, ::factor] for panel in panels]


def test_image_reference_and_prediction_side_by_side():
    tile = _tile()
    image, reference, prediction = _panels(FirstBandDecides(), tile, 3)
    assert np.array_equal(image, np.moveaxis(tile.image, 0, -1))
    assert (reference[:5] == 0).all()  # black: unknown
    assert np.array_equal(reference[5:], COLORS[tile.mask[5:]])
    bright = tile.image[0] > 127
    assert np.array_equal(prediction, COLORS[np.where(bright, 2, 1)])


def test_a_reconstruction_is_added():
    tile = _tile()
    model = build_network("urec", 3, 3, width=1).eval()
    with torch.no_grad():
        # A red that leaves the range below, a green and a blue within it.
        model.reconstruction.head.weight.fill_(0.01)
        model.reconstruction.head.bias.copy_(torch.tensor([-0.5, 0.6, 0.9]))
    panels = _panels(model, tile, 4)
    with torch.no_grad():
        rebuilt = model.reconstruct(torch.from_numpy(tile.image)[None].float() / 255)[0]
    assert 0.3 < rebuilt[1].min() <= rebuilt[2].max() < 1
    expected = (rebuilt * 255).round().clamp(0, 255).permute(1, 2, 0).numpy()
    difference = np.abs(panels[3] - expected)
    assert difference.max() <= 1  # a value half way may be rounded to either side
    assert (difference > 0).mean() < 0.001
    assert np.array_equal(panels[0], np.moveaxis(tile.image, 0, -1))


def test_a_network_without_one_has_three_panels():
    assert len(_panels(build_network("unet", 3, 3, width=1), _tile(), 3)) == 3


@pytest.mark.parametrize(("num_bands", "shown"), [(1, (0, 0, 0)), (2, (0, 0, 0)), (4, (0, 1, 2))])
def test_any_number_of_bands(num_bands, shown):
    tile = _tile(num_bands=num_bands)
    image = _panels(FirstBandDecides(), tile, 3)[0]
    assert np.array_equal(image, np.stack([tile.image[band] for band in shown], axis=-1))


def test_a_large_tile_shows_its_upper_left_corner():
    tile = _tile(520, 600)
    image, reference, prediction = _panels(FirstBandDecides(), tile, 3)
    assert image.shape == reference.shape == prediction.shape == (512, 512, 3)
    assert np.array_equal(image, np.moveaxis(tile.image[:, :512, :512], 0, -1))
    assert np.array_equal(reference[5:], COLORS[tile.mask[5:512, :512]])


@pytest.mark.parametrize("size", [9, 128, 700])
def test_nobody_knew_which_panel_was_the_prediction(size):
    """Four panels had no words; those of a small tile were some pixels wide."""
    tile = _tile(size, size)
    model = build_network("urec", 3, 3, width=2, generator=torch.Generator().manual_seed(0))
    png = trial_picture(model.eval(), tile, [(0, 0, 0)] * 3, TRAINING, uint8_scaling(3), CPU)
    sheet = np.asarray(Image.open(io.BytesIO(png)))
    width = (sheet.shape[1] + GAP) // 4 - GAP
    assert width >= 128
    captions = []
    for i in range(4):
        strip = sheet[:CAPTION, i * (width + GAP) : i * (width + GAP) + width + GAP]
        assert (strip < 128).any(), "there are letters"
        assert (strip[:, width:] == 255).all(), "that end before the next panel"
        captions.append(int((strip < 128).sum()))
    assert len(set(captions)) == 4, "each another word"
