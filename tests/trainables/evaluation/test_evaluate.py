from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.evaluation.evaluate import evaluate_tiles
from trainables.evaluation.tile_maps import TileMaps
from trainables.settings.config import TrainingConfig

pytestmark = pytest.mark.numbers

CPU = torch.device("cpu")
TRAINING = TrainingConfig(infer_window_px=32, infer_step_px=20, batch_size=3)


class BandOfThree(nn.Module):
    """Predicts the brightest of three bands; knows how it was called."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def segment(self, images):
        assert not self.training
        self.calls.append(tuple(images.shape))
        return images


def _counted(tile, reference):
    """Confusion matrix by the plainest loop there is."""
    counts = np.zeros((3, 3), dtype=np.int64)
    for (y, x), true in np.ndenumerate(reference):
        if true != IGNORE_INDEX:
            counts[true, tile.image[:, y, x].argmax()] += 1
    return counts.tolist()


@pytest.mark.parametrize("eroded", [False, True])
def test_every_tile_by_loops(random_tiles, eroded):
    tiles = random_tiles(eroded=eroded)
    matrices = list(evaluate_tiles(BandOfThree(), tiles, TRAINING, 3, uint8_scaling(3), CPU))
    assert len(matrices) == len(tiles)
    for tile, matrix in zip(tiles, matrices, strict=True):
        assert set(matrix) == ({"full", "eroded"} if eroded else {"full"})
        assert matrix["full"].dtype == torch.int64
        assert matrix["full"].tolist() == _counted(tile, tile.mask)
        assert matrix["full"].sum() == (tile.mask != IGNORE_INDEX).sum()
        if eroded:
            assert matrix["eroded"].tolist() == _counted(tile, tile.eroded_mask)
            assert matrix["eroded"].sum() < matrix["full"].sum()


def test_window_step_and_batch_size_are_those_of_inference(random_tiles):
    model = BandOfThree()
    # 90 x 45: rows from 0, 20, 40, 58 and columns from 0, 13; a batch takes whole rows of windows.
    list(evaluate_tiles(model, random_tiles([(90, 45)]), TRAINING, 3, uint8_scaling(3), CPU))
    assert model.calls == [(2, 3, 32, 32)] * 4


def test_an_eroded_reference_costs_no_further_prediction(random_tiles):
    model = BandOfThree()
    list(
        evaluate_tiles(
            model, random_tiles([(30, 30)] * 2, eroded=True), TRAINING, 3, uint8_scaling(3), CPU
        )
    )
    assert len(model.calls) == 2


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_network_is_left_as_it_was(random_tiles, training):
    model = BandOfThree().train(training)
    for _ in evaluate_tiles(model, random_tiles(), TRAINING, 3, uint8_scaling(3), CPU):
        assert model.training is training


def test_a_class_beyond_the_number_of_classes_is_refused(random_tiles):
    with pytest.raises(ValueError, match=r"reference must be in 0 \.\.\. 2 or 255, got \[3\]"):
        list(
            evaluate_tiles(
                BandOfThree(), random_tiles(num_classes=4), TRAINING, 3, uint8_scaling(3), CPU
            )
        )


def test_the_maps_of_every_tile_give_its_matrix_again(random_tiles, tmp_path):
    tiles = random_tiles()
    colors = [(1, 2, 3), (4, 5, 6), (7, 8, 9)]
    maps = TileMaps(tmp_path, tiles, colors, reconstructs=False)
    model = BandOfThree()
    kept = list(evaluate_tiles(model, tiles, TRAINING, 3, uint8_scaling(3), CPU, maps))
    num_calls = len(model.calls)
    plain = list(evaluate_tiles(model, tiles, TRAINING, 3, uint8_scaling(3), CPU))
    assert len(model.calls) == 2 * num_calls
    for tile, matrices, alone in zip(tiles, kept, plain, strict=True):
        assert torch.equal(matrices["full"], alone["full"])
        predicted = np.asarray(Image.open(tmp_path / f"{tile.name}.png"))
        assert np.array_equal(predicted, tile.image.argmax(axis=0))


@pytest.mark.parametrize("eroded", [False, True])
def test_only_annotated_pixels_count(random_tiles, eroded):
    tiles = random_tiles(eroded=eroded)
    unit = Unit(kind="block", size_px=16)
    _, pixels = draw_budget(tiles, fraction=0.3, seed=0, unit=unit, num_classes=3, split="val")
    matrices = evaluate_tiles(
        BandOfThree(), tiles, TRAINING, 3, uint8_scaling(3), CPU, annotated=pixels
    )
    for index, (tile, matrix) in enumerate(zip(tiles, matrices, strict=True)):
        held = pixels.tile(index)
        for name, mask in (("full", tile.mask), ("eroded", tile.eroded_mask)):
            if name == "full" or eroded:
                assert matrix[name].tolist() == _counted(tile, np.where(held, mask, IGNORE_INDEX))
    assert sum(int(one["full"].sum()) for one in matrices) == pixels.row_counts().sum()


def test_references_outside_of_the_budget_change_nothing(random_tiles):
    """A study that pretends to have few labels must not read the others."""
    tiles = random_tiles()
    unit = Unit(kind="block", size_px=16)
    _, pixels = draw_budget(tiles, fraction=0.3, seed=0, unit=unit, num_classes=3, split="val")
    held = np.concatenate([pixels.tile(index).ravel() for index in range(len(tiles))])
    other = replace(tiles, masks=np.where(held, tiles.masks, (tiles.masks + 1) % 3).astype("u1"))
    assert (other.masks != tiles.masks).any()
    matrices = [
        evaluate_tiles(BandOfThree(), one, TRAINING, 3, uint8_scaling(3), CPU, annotated=pixels)
        for one in (tiles, other)
    ]
    assert [one["full"].tolist() for one in matrices[0]] == [
        one["full"].tolist() for one in matrices[1]
    ]


def test_clicks_on_validation_tiles_count_by_the_class_that_was_clicked(random_tiles):
    """The reference beneath their discs, which nobody who clicks gives, chose the weights."""
    tiles = random_tiles()
    _, pixels = draw_budget(
        tiles, fraction=0.3, seed=1, unit=Unit(kind="point", size_px=4), num_classes=3, split="val"
    )
    assert pixels.labels is not None
    matrices = evaluate_tiles(
        BandOfThree(), tiles, TRAINING, 3, uint8_scaling(3), CPU, annotated=pixels
    )
    differ = 0
    for index, matrix in enumerate(matrices):
        tile = tiles.tile(index)
        given = pixels.given(index, 0, tile.mask)
        assert matrix["full"].tolist() == _counted(tile, given)
        differ += int((given != np.where(given == IGNORE_INDEX, IGNORE_INDEX, tile.mask)).sum())
    assert differ > 0
