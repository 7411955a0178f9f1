"""How long the parts of a trial take."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import TileSet, allocate_tiles, seal_tiles
from trainables.evaluation.inference import predict_logits
from trainables.networks.build import build_network
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.trial import microbenchmark
from trainables.trial.microbenchmark import (
    Sample,
    Timings,
    measure_timings,
    take_sample,
    windows_px,
)

TRAINING = TrainingConfig(
    width=2,
    patch_px=32,
    sampling="random",
    batch_size=4,
    steps=1000,
    epochs=None,
    num_validations=10,
    infer_window_px=32,
    infer_step_px=24,
)
CPU = torch.device("cpu")


def make_trial(model="unet", phase="confirm", **training):
    return TrialConfig(
        key="k",
        phase=phase,
        model=model,
        label_frac=1.0,
        seed=0,
        training=replace(TRAINING, **training),
    )


@pytest.fixture
def sample(random_tiles, tmp_path):
    tiles = {
        "train": random_tiles(),
        "val": random_tiles([(40, 64)]),
        "test": random_tiles([(40, 64), (64, 40), (64, 64)]),
    }
    return take_sample(tiles, uint8_scaling(3), ("a", "b", "c"), tmp_path)


class FakeTraining:
    """Stands for `train`: a cold start, then so many seconds for each patch."""

    def __init__(self, patch_s: float, cold_s: float = 0.0) -> None:
        self.patch_s, self.cold_s = patch_s, cold_s
        self.runs: list[tuple[int, int]] = []
        self.spent_s = 0.0

    def __call__(self, trial, data, **_):
        training = trial.training
        self.runs.append((training.steps, training.batch_size))
        taken = training.steps * training.batch_size * self.patch_s
        taken += 0.0 if len(self.runs) > 1 else self.cold_s
        self.spent_s += taken
        return SimpleNamespace(model=build_network("unet", width=1), train_s=taken)


class FakeEvaluation:
    """Stands for `evaluate_tiles` and for the clock."""

    def __init__(self, px_s: float) -> None:
        self.px_s, self.now, self.sizes = px_s, 0.0, []

    def __call__(self, model, tiles, training, *_):
        self.sizes.append(tiles.shapes.tolist())
        self.now += self.px_s * windows_px(tiles.shapes, training)
        return iter(())

    def perf_counter(self):
        return self.now


def fake(monkeypatch, *, patch_s=0.001, cold_s=0.0, px_s=1e-6):
    training, evaluation = FakeTraining(patch_s, cold_s), FakeEvaluation(px_s)
    monkeypatch.setattr(microbenchmark, "train", training)
    monkeypatch.setattr(microbenchmark, "evaluate_tiles", evaluation)
    monkeypatch.setattr(microbenchmark, "time", evaluation)
    return training, evaluation


def test_trial_is_its_steps_validations_test_and_picture():
    timings = Timings(step_s=0.5, validation_s=3.0, test_s=7.0, picture_s=1.0)
    trial = make_trial(steps=100, num_validations=4)
    assert timings.trial_s(trial) == 100 * 0.5 + 4 * 3.0 + 7.0 + 1.0
    assert timings.trial_s(replace(trial, phase="search")) == 100 * 0.5 + 4 * 3.0 + 1.0


@pytest.mark.parametrize(("height", "width"), [(20, 90), (32, 32), (33, 80), (64, 45), (56, 57)])
def test_pixels_of_windows_are_those_that_prediction_forwards(height, width):
    class Counting(nn.Module):
        num_px = 0

        def segment(self, images):
            self.num_px += images.shape[0] * images.shape[2] * images.shape[3]
            return images

    counting = Counting()
    predict_logits(
        counting,
        np.zeros((3, height, width), np.uint8),
        window_px=TRAINING.infer_window_px,
        step_px=TRAINING.infer_step_px,
        batch_size=4,
        device="cpu",
    )
    assert windows_px(np.array([[height, width]]), TRAINING) == counting.num_px


def test_pixels_of_windows_add_up_over_tiles():
    shapes = np.array([[20, 90], [64, 64]])
    parts = [windows_px(shapes[:1], TRAINING), windows_px(shapes[1:], TRAINING)]
    assert windows_px(shapes, TRAINING) == sum(parts)


@pytest.mark.parametrize("model", ["unet", "urec"])
def test_timings_of_a_real_network_is_positive_and_leaves_no_file(sample, model, tmp_path):
    timings = measure_timings(make_trial(model), sample, device=CPU, limit_s=0.05)
    assert timings.step_s > 0
    # Evaluation is measured once per pixel and scaled.
    ratio = windows_px(sample.shapes["test"], TRAINING) / windows_px(sample.shapes["val"], TRAINING)
    assert timings.test_s == pytest.approx(timings.validation_s * ratio)
    assert timings.picture_s == pytest.approx(timings.validation_s * (2 if model == "urec" else 1))
    assert list(tmp_path.iterdir()) == []


def test_trials_that_weigh_classes_are_timed_too(sample):
    trial = make_trial(class_weights="sqrt_inverse")
    assert measure_timings(trial, sample, device=CPU, limit_s=0.05).step_s > 0


def test_steps_and_pixels_are_found(monkeypatch, sample):
    fake(monkeypatch, patch_s=0.001, px_s=1e-6)
    timings = measure_timings(make_trial(), sample, device=CPU, limit_s=2.0)
    assert timings.step_s == pytest.approx(4 * 0.001)
    assert timings.validation_s == pytest.approx(1e-6 * windows_px(sample.shapes["val"], TRAINING))
    assert timings.test_s == pytest.approx(1e-6 * windows_px(sample.shapes["test"], TRAINING))


@pytest.mark.parametrize("patch_s", [1e-5, 1e-3, 0.1])
def test_training_keeps_its_limit(monkeypatch, sample, patch_s):
    training, _ = fake(monkeypatch, patch_s=patch_s)
    measure_timings(make_trial(), sample, device=CPU, limit_s=2.0)
    assert training.spent_s < 4 * 2.0
    steps, batch = training.runs[-1]
    assert batch == 4
    assert steps * batch * patch_s >= 2.0 / 2


def test_a_slow_step_is_scaled_from_two_patches(monkeypatch, sample):
    training, _ = fake(monkeypatch, patch_s=5.0)
    timings = measure_timings(make_trial(batch_size=14), sample, device=CPU, limit_s=4.0)
    assert training.runs == [(1, 2), (1, 2)]
    assert timings.step_s == pytest.approx(14 * 5.0)


def test_a_slow_start_is_not_taken_for_a_slow_step(monkeypatch, sample):
    fake(monkeypatch, patch_s=0.001, cold_s=60.0)
    timings = measure_timings(make_trial(), sample, device=CPU, limit_s=2.0)
    assert timings.step_s == pytest.approx(4 * 0.001)


def test_a_slow_window_is_measured_alone(monkeypatch, sample):
    _, evaluation = fake(monkeypatch, px_s=1.0)
    timings = measure_timings(make_trial(), sample, device=CPU, limit_s=4.0)
    assert evaluation.sizes == [[[32, 32]]] * 3
    assert timings.validation_s == pytest.approx(windows_px(sample.shapes["val"], TRAINING))


def test_small_tiles_are_evaluated_until_the_time_tells_something(monkeypatch, sample):
    _, evaluation = fake(monkeypatch, px_s=1e-5)
    measure_timings(make_trial(), sample, device=CPU, limit_s=4.0)
    assert evaluation.sizes[2:] == [[[40, 64]]] * (len(evaluation.sizes) - 2)
    assert 0.5 <= evaluation.now < 1.5


def test_sample_is_the_first_tiles_up_to_its_size(monkeypatch, random_tiles, tmp_path):
    monkeypatch.setattr(microbenchmark, "_SAMPLE_SIDE_PX", 50)
    monkeypatch.setattr(microbenchmark, "_SAMPLE_PX", 50 * 50 + 20 * 50)
    held = random_tiles([(70, 45), (20, 90), (64, 64)], unlabelled=1.0)
    taken = take_sample(
        {"train": held, "val": held, "test": held}, uint8_scaling(3), ("a",), tmp_path
    )
    assert taken.train.shapes.tolist() == [[50, 45], [20, 50]]
    assert np.array_equal(taken.train.tile(0).image, held.tile(0).image[:, :50, :45])
    assert not (taken.train.masks == IGNORE_INDEX).any()
    assert taken.shapes["train"].tolist() == [[70, 45], [20, 90], [64, 64]]
    assert list(tmp_path.iterdir()) == []


def test_sample_of_mapped_tiles_is_mapped(random_tiles, tmp_path):
    held = random_tiles([(40, 40)])
    mapped = _mapped(held, tmp_path / "tiles")
    tiles = {"train": mapped, "val": held, "test": held}
    taken = take_sample(tiles, uint8_scaling(3), ("a", "b", "c"), tmp_path / "scratch")
    assert taken.train.folder == tmp_path / "scratch" / "train"
    assert taken.val.folder is None
    assert np.array_equal(taken.train.images, held.images)
    timings = measure_timings(make_trial(), taken, device=CPU, limit_s=0.01)
    assert timings.step_s > 0


def test_data_without_one_label_can_be_measured(random_tiles, tmp_path):
    held = random_tiles([(40, 40)], unlabelled=1.0)
    tiles = {"train": held, "val": held, "test": held}
    taken = take_sample(tiles, uint8_scaling(3), ("a", "b"), tmp_path)
    assert isinstance(taken, Sample)
    assert measure_timings(make_trial("urec"), taken, device=CPU, limit_s=0.01).step_s > 0


def _mapped(tiles: TileSet, folder) -> TileSet:
    mapped = allocate_tiles(
        tiles.names,
        [tuple(shape) for shape in tiles.shapes.tolist()],
        num_bands=len(tiles.images),
        dtype=tiles.images.dtype,
        has_eroded=False,
        has_hidden=False,
        folder=folder,
    )
    mapped.images[:] = tiles.images
    mapped.masks[:] = tiles.masks
    return seal_tiles(mapped)


def test_a_trial_with_an_encoder_is_measured_with_it(sample, write_encoder, monkeypatch):
    """Its processes read it by its name, as the command does."""
    folder = str(write_encoder("resnet"))
    given = []

    def train(trial, data, **rest):
        given.append(data.encoder)
        return microbenchmark_train(trial, data, **rest)

    microbenchmark_train = microbenchmark.train
    monkeypatch.setattr(microbenchmark, "train", train)
    trial = replace(make_trial(patch_px=64), network="encoder-unet", encoder=folder)
    found = measure_timings(trial, sample, device=CPU, limit_s=0.01)
    assert found.step_s > 0
    assert {one.source for one in given} == {folder}
