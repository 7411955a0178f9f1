"""What a trial leaves in its folder, without Ray."""

import gc
import gzip
import json
import shutil
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import ray
import torch
from PIL import Image

from contract.names import CONFUSION, MAPS, MODEL_FILE, PICTURE, RESULT, TIME_PARTS
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.units import Unit
from trainables.data.layouts.spec import IGNORE_INDEX, ClassSpec
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.errors import DataError
from trainables.evaluation.inference import predict_logits
from trainables.networks.model_file import TrainedModel
from trainables.predict import command as predict
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.storage.store import Store
from trainables.training.trace import OPERATORS, PROFILE, TRACE
from trainables.trial import run as trial
from trainables.trial import work as trial_work
from trainables.trial.folder.trial_files import CHECKPOINT, TrialFiles
from trainables.trial.task import TaskData, TaskResources, TrialTask

TRAINING = TrainingConfig(
    width=2,
    patch_px=32,
    sampling="random",
    batch_size=2,
    steps=4,
    epochs=None,
    num_validations=2,
    infer_window_px=96,
    infer_step_px=96,
)
CLASSES = tuple(
    ClassSpec(name=name, color=color)
    for name, color in (("land", (0, 128, 0)), ("water", (0, 0, 255)), ("wood", (9, 8, 7)))
)


@pytest.fixture
def run(random_tiles, tmp_path, monkeypatch):
    """Runs a trial of a phase and returns its folder."""
    monkeypatch.setattr(ray, "get", lambda held: held)
    monkeypatch.setattr(trial.tune, "report", lambda row: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    tiles = {split: random_tiles(seed=seed) for seed, split in enumerate(("train", "val", "test"))}
    unit = Unit(kind="block", size_px=32)
    budget, pixels = draw_budget(tiles["train"], fraction=1.0, seed=1, unit=unit, num_classes=3)

    def run_phase(phase, model="urec", **changed):
        config = TrialConfig(
            key=f"{phase}-a", phase=phase, model=model, label_frac=1.0, seed=1, training=TRAINING
        )
        splits = ("train", "val", "test") if phase == "confirm" else ("train", "val")
        task = TrialTask(
            trial=config,
            study="harbour",
            data=TaskData(
                bands=("red", "green", "blue"),
                nodata=(),
                classes=CLASSES,
                exclude_from_mean=(),
                scaling=uint8_scaling(3),
            ),
            tiles={split: tiles[split] for split in splits},
            budget=budget.to_plain(),
            annotated=pixels,
            folder=tmp_path / config.key,
            store=None,
            resources=TaskResources(workers=(0, 0), cpus=1, gpus=0),
            checkpoint_every_s=0.0,
        )
        changes = {name: change(budget, pixels) for name, change in changed.items()}
        trial.run_trial({"task": replace(task, **changes)})
        return tmp_path / config.key

    return run_phase


@pytest.fixture
def validation(random_tiles):
    """Makes what a task holds of a validation budget."""

    def make(fraction):
        unit = Unit(kind="block", size_px=32)
        budget, pixels = draw_budget(
            random_tiles(seed=1), fraction=fraction, seed=1, unit=unit, num_classes=3, split="val"
        )
        return {"val_budget": lambda *_: budget.to_plain(), "val_annotated": lambda *_: pixels}

    return make


def test_a_search_trial_keeps_no_weights(run):
    left = {file.name for file in run("search").iterdir()}
    assert left == {PICTURE, RESULT}


@pytest.mark.parametrize(
    "change",
    [
        {"budget": lambda budget, pixels: budget.to_plain() | {"annotated_px": 1}},
        {"annotated": lambda budget, pixels: replace(pixels, bits=pixels.bits & 127)},
        {"annotated": lambda budget, pixels: replace(pixels, labels=pixels.bits[None])},
    ],
)
def test_a_changed_budget_stops_the_trial(run, change):
    with pytest.raises(DataError, match=r"checksum|pixels"):
        run("search", **change)


@pytest.mark.parametrize(
    "change",
    [
        {"val_annotated": lambda budget, pixels: replace(pixels, bits=pixels.bits & 127)},
        {"val_annotated": lambda budget, pixels: pixels},
        {"val_budget": lambda budget, pixels: budget.to_plain()},
    ],
)
def test_a_changed_validation_budget_stops_the_trial(run, validation, change):
    with pytest.raises(DataError, match=r"checksum|pixels"):
        run("search", **validation(1.0) | change)


def test_validation_that_is_annotated_throughout_is_validation_without_a_budget(run, validation):
    """`--val-frac all` and its scores are what they were before there were such budgets."""
    before = json.loads((run("search") / RESULT).read_text())
    (run("search") / RESULT).unlink()
    after = json.loads((run("search", **validation(1.0)) / RESULT).read_text())
    assert after["history"] == before["history"]
    assert after["score"] == before["score"]
    names = [name for name in before["metrics"] if name.startswith("budget/")]
    assert {name: after["metrics"][name] for name in names} == {
        name: before["metrics"][name] for name in names
    }


def test_a_trial_is_scored_by_its_validation_budget_and_says_what_both_cost(
    run, validation, random_tiles
):
    confirm = run("confirm")
    whole = json.loads((confirm / RESULT).read_text())
    assert whole["metrics"]["budget/val_reached_frac"] == 1.0
    assert whole["metrics"]["budget/with_val_frac"] == 1.0
    shutil.rmtree(confirm)
    record = json.loads((run("confirm", **validation(0.3)) / RESULT).read_text())
    scores = [row["val/mean_f1"] for row in record["history"] if "val/mean_f1" in row]
    assert scores != [row["val/mean_f1"] for row in whole["history"] if "val/mean_f1" in row]
    assert record["score"] == max(scores)
    metrics = record["metrics"]
    labelled = [int((random_tiles(seed=seed).masks != IGNORE_INDEX).sum()) for seed in (0, 1)]
    val_px = metrics["budget/val_annotated_px"]
    assert 0 < val_px <= 0.3 * labelled[1]
    assert metrics["budget/val_reached_frac"] == val_px / labelled[1]
    assert metrics["budget/with_val_frac"] == (labelled[0] + val_px) / sum(labelled)


@pytest.mark.parametrize("minutes", [None, 12.5])
def test_what_annotating_takes_is_recorded_where_there_are_prices(run, minutes):
    folder = run("search", annotation_minutes=lambda *_: minutes)
    metrics = json.loads((folder / RESULT).read_text())["metrics"]
    assert metrics.get("budget/minutes") == minutes


def test_a_search_trial_never_sees_test_tiles(run, tmp_path):
    """Whoever gives them is stopped before a tile is read."""
    with pytest.raises(ValueError, match="must not be given test tiles"):
        run("search", tiles=lambda *_: {"train": None, "val": None, "test": None})
    assert list(tmp_path.iterdir()) == []


def test_a_finished_trial_is_not_trained_again(run, monkeypatch):
    """Its process was lost between its result and its last report."""
    folder = run("confirm")
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    monkeypatch.setattr(trial_work, "train", lambda *args, **kwargs: pytest.fail("trained again"))
    assert run("confirm") == folder
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before


def test_a_confirmation_trial_leaves_its_model(run):
    folder = run("confirm")
    left = {file.name for file in folder.iterdir()}
    assert left == {PICTURE, RESULT, CONFUSION, MODEL_FILE}
    trained = TrainedModel.load(folder / MODEL_FILE)
    assert (trained.trial_key, trained.study) == ("confirm-a", "harbour")
    assert trained.bands == ("red", "green", "blue")
    assert trained.classes == CLASSES


@pytest.mark.parametrize("content", [b"", b"\x00random", b"{}"])
def test_a_trial_whose_result_is_damaged_is_run_again(run, content):
    folder = run("search")
    before = json.loads((folder / RESULT).read_text())
    (folder / RESULT).write_bytes(content)
    run("search")
    assert json.loads((folder / RESULT).read_text())["history"] == before["history"]


@pytest.mark.numbers
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_model_of_a_trial_predicts_a_file_as_it_predicted_its_test_tiles(
    run, random_tiles, tmp_path
):
    folder, pixels = run("confirm"), random_tiles(seed=2).tile(0).image
    _, height, width = pixels.shape
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8"
    ) as target:
        target.write(pixels)
    arguments = ["--model", str(folder), "--out", str(tmp_path), "--device", "cpu"]
    assert predict.main([*arguments, str(tmp_path / "a.tif")]) == 0
    network = TrainedModel.load(folder / MODEL_FILE).build()
    logits = predict_logits(network, pixels, window_px=96, step_px=96, batch_size=1, device="cpu")
    best, second = logits.topk(2, dim=0).values
    clear = (best - second > 1e-3).numpy()  # elsewhere rounding chooses between two classes
    assert clear.mean() > 0.99
    with rasterio.open(tmp_path / "a_classes.tif") as result:
        assert np.array_equal(result.read(1)[clear], logits.argmax(0).numpy()[clear])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_trial_with_everything_changed_leaves_what_predicts(
    run, random_tiles, tmp_path, monkeypatch
):
    """Loss, target, hiding, norms and decoder at once; classes are weighted by the budget."""
    changed = replace(
        TRAINING, seg_loss="ce_dice", class_weights="sqrt_inverse", rec_loss="l1_ssim",
        rec_target="normalised", rec_mask=0.5, rec_patches=2, w1_schedule="decay",
        branch_norm="separate", rec_decoder="own", patch_px=64,
    )  # fmt: skip
    config = TrialConfig(
        key="confirm-a", phase="confirm", model="urec", label_frac=1.0, seed=1, training=changed
    )
    seen, original = [], trial_work.train
    monkeypatch.setattr(
        trial_work,
        "train",
        lambda config, data, **named: (seen.append(data), original(config, data, **named))[1],
    )
    budgets = []
    folder = run("confirm", trial=lambda budget, pixels: (budgets.append(budget), config)[1])
    assert [data.class_px for data in seen] == [budgets[0].class_px]
    pixels = random_tiles(seed=2).tile(0).image
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=45, height=70, count=3, dtype="uint8"
    ) as target:
        target.write(pixels)
    arguments = ["--model", str(folder), "--out", str(tmp_path), "--device", "cpu"]
    assert predict.main([*arguments, str(tmp_path / "a.tif")]) == 0
    kept = TrainedModel.load(folder / MODEL_FILE)
    assert kept.method_parameters == {"branch_norm": "separate", "rec_decoder": "own"}


def test_a_trial_that_gave_its_model_up_names_the_one_of_its_arm(run, tmp_path):
    folder = run("confirm")
    kept = folder.rename(tmp_path / "confirm-urec-f0.10-s2")
    other = tmp_path / "confirm-urec-f0.10-s1"
    other.mkdir()
    with pytest.raises(DataError, match=f"kept its model, such as {kept.name}"):
        predict.load_trained(str(other))
    found = predict.load_trained(str(tmp_path / "confirm-urec-f0.10"))
    assert found.trial_key == "confirm-a"


def test_maps_of_the_test_tiles_where_they_are_asked_for(run, random_tiles):
    folder = run("confirm", keep_maps=lambda *_: True)
    tiles = random_tiles(seed=2)
    assert {file.name for file in (folder / MAPS).iterdir()} == {
        f"{name}{end}" for name in tiles.names for end in (".png", "_reconstruction.jpg")
    }
    record = json.loads((folder / CONFUSION).read_text())
    for tile, counted in zip(tiles, record["tiles"], strict=True):
        predicted = np.asarray(Image.open(folder / MAPS / f"{tile.name}.png"))
        pairs = zip(tile.mask[tile.mask < 3], predicted[tile.mask < 3], strict=True)
        again = np.zeros((3, 3), dtype=int)
        for true, guessed in pairs:
            again[true, guessed] += 1
        assert again.tolist() == counted["full"]


def test_a_trial_that_died_among_its_maps_writes_them_again(run, monkeypatch):
    """The result is written last: without it, a process that goes on begins with the maps."""

    def lost(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(trial_work, "trial_picture", lost)
        with pytest.raises(KeyboardInterrupt):
            run("confirm", keep_maps=lambda *_: True)
    folder = run("confirm", keep_maps=lambda *_: True)
    whole = {file.name: file.read_bytes() for file in (folder / MAPS).iterdir()}
    (folder / RESULT).unlink()
    torn = folder / MAPS / "t0.png"
    torn.unlink()
    (folder / MAPS / ".t0.png.1.partial").write_bytes(b"torn")
    run("confirm", keep_maps=lambda *_: True)
    assert {file.name: file.read_bytes() for file in (folder / MAPS).iterdir()} == whole


def test_what_was_reconstructed_is_recorded_of_every_trial(run):
    for phase in ("search", "confirm"):
        folder = run(phase)
        metrics = _metrics(folder)
        assert 0 < metrics["val/rec_l1_blocks"] < metrics["val/rec_l1_constant"] < 0.5
        assert metrics["val/rec_l1"] > 0
        history = json.loads((folder / RESULT).read_text())["history"]
        assert 0 < history[-1]["train/grad_share_rec"] < 1


def test_a_method_that_reconstructs_nothing_records_no_reconstruction(run):
    metrics = _metrics(run("search", model="unet"))
    assert not any("rec_l1" in name for name in metrics)


def _metrics(folder):
    return json.loads((folder / RESULT).read_text())["metrics"]


def _lasting(folder):
    """What a trial leaves, but for how long it took."""
    record = json.loads((folder / RESULT).read_text())
    record["metrics"] = {
        name: value
        for name, value in record["metrics"].items()
        if not name.startswith(("perf/", "time/"))
    }
    files = {name: (folder / name).read_bytes() for name in (CONFUSION, PICTURE)}
    return record, files, TrainedModel.load(folder / MODEL_FILE).build().state_dict()


def test_a_profile_changes_nothing_but_what_it_adds(run, tmp_path):
    plain = run("confirm").rename(tmp_path / "plain")
    profiled = run("confirm", timed_since=lambda *_: time.time(), trace=lambda *_: True)
    (one, files, weights), (other, other_files, other_weights) = map(_lasting, (plain, profiled))
    assert one == other
    assert files == other_files
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert not (plain / PROFILE).exists()
    assert not any(name.startswith("time/") for name in _metrics(plain))
    assert {file.name for file in (profiled / PROFILE).iterdir()} == {OPERATORS, TRACE}


def test_a_profiled_trial_records_the_seconds_of_its_parts(run):
    since = time.time() - 100
    folder = run("confirm", timed_since=lambda *_: since, trace=lambda *_: True)
    metrics = _metrics(folder)
    measured = {name: value for name, value in metrics.items() if name.startswith("time/")}
    assert set(measured) == {f"time/{part}_s" for part in TIME_PARTS}
    assert 100 < measured["time/start_s"] < 100 + time.time() - since
    assert sum(measured.values()) < time.time() - since
    assert metrics["perf/test_s"] <= measured["time/test_s"]
    assert metrics["perf/eval_s"] <= measured["time/validation_s"]


def test_test_tiles_are_timed_without_a_profile_too(run):
    assert _metrics(run("confirm"))["perf/test_s"] > 0
    assert "perf/test_s" not in _metrics(run("search"))


def test_an_interrupted_trial_adds_up_its_attempts_and_is_traced_once(run, tmp_path, monkeypatch):
    """Ten seconds to start the first time, twenty the second; the report ends the first."""
    told = []

    def report(row):
        told.append(row)
        if len(told) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(trial.tune, "report", report)
    with pytest.raises(KeyboardInterrupt):
        run("search", timed_since=lambda *_: time.time() - 10, trace=lambda *_: True)
    traced = (tmp_path / "search-a" / PROFILE / TRACE).stat().st_mtime_ns
    folder = run("search", timed_since=lambda *_: time.time() - 20, trace=lambda *_: True)
    assert 30 < _metrics(folder)["time/start_s"] < 60
    assert (folder / PROFILE / TRACE).stat().st_mtime_ns == traced


def test_the_trace_reaches_the_store_before_the_first_report(run, tmp_path, monkeypatch):
    """A trial that is pruned there goes no further."""
    store = Store(str(tmp_path / "store"))

    def pruned(row):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial.tune, "report", pruned)
    given = {"timed_since": time.time(), "trace": True, "store": store}
    with pytest.raises(KeyboardInterrupt):
        run("search", **{name: lambda *_, value=value: value for name, value in given.items()})
    assert {f"{PROFILE}/{TRACE}", f"{PROFILE}/{OPERATORS}"} <= set(store.names())


def test_a_trial_that_was_lost_before_it_removed_its_checkpoints_does_so(
    run, tmp_path, monkeypatch
):
    """After its record had reached the store: the next attempt has nothing else to do."""
    store = Store(str(tmp_path / "store"))

    def lost(self):
        raise KeyboardInterrupt

    given = {"store": lambda *_: store, "checkpoint_every_s": lambda *_: 0.0}
    with monkeypatch.context() as losing:
        losing.setattr(TrialFiles, "remove_checkpoints", lost)
        with pytest.raises(KeyboardInterrupt):
            run("search", **given)
    assert {RESULT, CHECKPOINT} <= set(store.names())
    run("search", **given)
    assert RESULT in store.names()
    assert CHECKPOINT not in store.names()


def test_the_trace_of_a_trial_names_its_parts(run):
    folder = run("search", timed_since=lambda *_: time.time(), trace=lambda *_: True)
    events = json.loads(gzip.decompress((folder / PROFILE / TRACE).read_bytes()))["traceEvents"]
    ranges = {event["name"] for event in events if event.get("cat") == "user_annotation"}
    assert {"data", "forward_backward", "validation"} <= ranges
    assert "aten::convolution" in (folder / PROFILE / OPERATORS).read_text()


@pytest.mark.parametrize("initialised", [True, False])
def test_a_card_gets_back_what_the_last_trial_left(run, monkeypatch, initialised):
    """Its allocator keeps memory that other trials on the card could use."""
    emptied = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: initialised)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    run("search")
    assert emptied == [True] * initialised


class Left:
    """Something that holds itself."""


def test_what_a_trial_left_in_a_cycle_goes_at_the_start_of_the_next(run):
    run("search")
    left = Left()
    left.itself = left
    gone = weakref.ref(left)
    gc.disable()
    try:
        del left
        assert gone() is not None
        run("search")
        assert gone() is None
    finally:
        gc.enable()
