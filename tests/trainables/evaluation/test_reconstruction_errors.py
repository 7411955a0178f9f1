from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.tilesets.scaling import BandScaling, uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.evaluation import reconstruction_errors as module
from trainables.evaluation.reconstruction_errors import BLOCK_PX, reconstruction_errors
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup

CPU = torch.device("cpu")
TRAINING = TrainingConfig(infer_window_px=32, infer_step_px=20, batch_size=3)


class Inverting(nn.Module):
    """Reconstructs 1 - image, and only in evaluation mode."""

    def reconstruct(self, images):
        assert not self.training
        return 1 - images


def _by_loops(tiles, train, scaling):
    """All three errors by the plainest loops there are."""
    span = np.array(scaling.high) - scaling.low

    def unit(image):
        low = np.array(scaling.low)[:, None, None]
        return ((image - low) / span[:, None, None]).clip(0, 1)

    values = [[] for _ in span]
    for tile in train:
        for band, plane in enumerate(tile.image):
            values[band] += plane[
                np.ones_like(plane, bool) if tile.shown is None else tile.shown
            ].tolist()
    color = unit(np.array([np.median(band) for band in values])[:, None, None])
    errors, num = np.zeros(3), 0
    for tile in tiles:
        image = unit(tile.image.astype(float))
        shown = np.ones(image.shape[1:], bool) if tile.shown is None else tile.shown
        for (y, x), counts in np.ndenumerate(shown):
            if not counts:
                continue
            top, left = y // BLOCK_PX * BLOCK_PX, x // BLOCK_PX * BLOCK_PX
            block = np.s_[top : top + BLOCK_PX, left : left + BLOCK_PX]
            mean = image[:, *block][:, shown[block]].mean(axis=1)
            pixel = image[:, y, x]
            for place, guess in enumerate((1 - pixel, color[:, 0, 0], mean)):
                errors[place] += np.abs(pixel - guess).mean()
            num += 1
    return errors / num


def _hidden(tiles, seed):
    generator = np.random.default_rng(seed)
    return pack_tiles(
        [replace(tile, shown=generator.random(tile.mask.shape) < 0.7) for tile in tiles]
    )


@pytest.mark.parametrize("strip_px", [100, 2**22])
@pytest.mark.parametrize("hides", [False, True])
def test_errors_by_loops(random_tiles, monkeypatch, hides, strip_px):
    monkeypatch.setattr(module, "STRIP_PX", strip_px)
    val, train = random_tiles([(45, 70), (19, 33)], seed=1), random_tiles(seed=2)
    if hides:
        val, train = _hidden(val, 1), _hidden(train, 2)
    model = Inverting().train()
    found = reconstruction_errors(model, val, train, TRAINING, uint8_scaling(3), CPU)
    assert list(found) == ["rec_l1", "rec_l1_constant", "rec_l1_blocks"]
    assert list(found.values()) == pytest.approx(_by_loops(val, train, uint8_scaling(3)), rel=1e-5)
    assert model.training


def test_other_types_are_measured_as_the_network_sees_them():
    generator = np.random.default_rng(0)
    tiles = pack_tiles(
        [
            Tile(
                name="a",
                image=generator.integers(0, 4000, (2, 40, 24)).astype(np.uint16),
                mask=np.zeros((40, 24), np.uint8),
            )
        ]
    )
    scaling = BandScaling(dtype="uint16", low=(100.0, 0.0), high=(3000.0, 9000.0))
    found = reconstruction_errors(Inverting(), tiles, tiles, TRAINING, scaling, CPU)
    assert list(found.values()) == pytest.approx(_by_loops(tiles, tiles, scaling), rel=1e-5)


def test_what_changes_slowly_is_better_told_by_blocks_than_by_one_colour():
    ramp = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (3, 64, 1))
    tiles = pack_tiles([Tile(name="a", image=ramp, mask=np.zeros((64, 128), np.uint8))])
    found = reconstruction_errors(Inverting(), tiles, tiles, TRAINING, uint8_scaling(3), CPU)
    assert found["rec_l1_constant"] == pytest.approx(64 / 255, rel=1e-3)  # a mean of |2 i - 127|
    assert found["rec_l1_blocks"] == pytest.approx(4 / 255, rel=1e-3)  # of 7 5 3 1 1 3 5 7


def test_workers_take_tiles_and_their_sums_are_added(random_tiles, monkeypatch):
    val, train = random_tiles(), random_tiles(seed=3)
    arguments = (Inverting(), val, train, TRAINING, uint8_scaling(3), CPU)
    alone = reconstruction_errors(*arguments)
    parts = []

    def keep(self, tensor):
        parts.append(tensor.clone())
        return tensor

    monkeypatch.setattr(ProcessGroup, "sum", keep)
    for rank in range(2):
        reconstruction_errors(*arguments, ProcessGroup(rank=rank, size=2))
    together = sum(parts)
    assert parts[0][-1] * parts[1][-1] > 0
    assert (together[:-1] / together[-1]).tolist() == pytest.approx(list(alone.values()))
