import json
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

import trainables.methods.reconstruction as reconstruction_module
import trainables.methods.segmentation as segmentation_module
import trainables.training.loop as loop
import trainables.training.step as step_module
from trainables.data.budgets.drawing import draw_budget
from trainables.data.budgets.pixel_set import mask_strips, pack_pixels
from trainables.data.budgets.units import Unit, take_discs
from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.scaling import uint8_scaling
from trainables.data.tilesets.tileset import Tile, pack_tiles
from trainables.errors import DataError
from trainables.evaluation.inference import predict_logits
from trainables.settings.config import TrainingConfig, TrialConfig
from trainables.settings.process_group import ALONE
from trainables.training.checkpoint import read_state
from trainables.training.loop import TrainingData, train
from trainables.training.schedule import learning_rate

CPU = torch.device("cpu")
TINY = TrainingConfig(
    width=1,
    patch_px=32,
    sampling="random",
    stride_px=16,
    batch_size=2,
    steps=6,
    epochs=None,
    lr=1e-2,
    num_validations=3,
    infer_window_px=64,
    infer_step_px=64,
)


def _pixels(tiles, labels):
    """The set of the pixels that are labelled in `labels` (P,)."""
    strips = mask_strips(replace(tiles, masks=labels))
    return pack_pixels(tiles.shapes, ((n, top, mask != IGNORE_INDEX) for n, top, mask in strips))


def _trial(model="urec", seed=0, **training):
    return TrialConfig(
        key="t",
        phase="search",
        model=model,
        label_frac=1.0,
        seed=seed,
        training=replace(TINY, **training),
    )


def _own_trial(module, **training):
    return replace(_trial("unet", **training), model="mine", network=f"{module}:network")


@pytest.fixture(scope="module")
def data(random_tiles):
    """Tiles of unequal sizes, one lower than a patch, a third of them annotated."""
    tiles = random_tiles()
    unit = Unit(kind="block", size_px=32)
    _, pixels = draw_budget(tiles, fraction=0.3, seed=0, unit=unit, num_classes=3)
    return TrainingData(
        train=tiles,
        annotated=pixels,
        scaling=uint8_scaling(3),
        val=random_tiles([(40, 33), (32, 32)], seed=9),
        class_names=("a", "b", "c"),
        exclude_from_mean=(),
    )


@pytest.fixture
def run(tmp_path, data):
    """Trains, and saves states where a checkpoint is named: they take as long as small steps."""

    def run(config, data=data, report=lambda step, rows: None, checkpoint=None, every_s=0.0):
        return train(
            config,
            data,
            device=CPU,
            checkpoint=checkpoint or tmp_path / "none.pt",
            report=report,
            checkpoint_every_s=every_s if checkpoint else math.inf,
        )

    return run


@pytest.fixture
def spy(monkeypatch):
    """Arguments of every call of the two loss terms in training, in their order; no probes."""
    monkeypatch.setattr(loop, "probed_steps", lambda validations: frozenset())
    seen = {"segmentation_loss": [], "reconstruction_loss": []}

    def spied(module, name):
        original = getattr(module, name)

        def call(*arguments, **named):
            *shown, _ = arguments  # and the number of pixels
            seen[name].append([a if a.dtype == torch.bool else a.detach() for a in shown])
            return original(*arguments, **named)

        monkeypatch.setattr(module, name, call)

    spied(segmentation_module, "segmentation_loss")
    spied(reconstruction_module, "reconstruction_loss")
    return seen


def _weights(result):
    return {name: value.clone() for name, value in result.model.state_dict().items()}


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def _record(result):
    """All of a result but times and network, comparable also where a measure is NaN."""
    return json.dumps([result.best_score, result.best_step, result.converged, result.history])


def _halves(size=32):
    """A tile whose left half is dark and of class 0, whose right half is bright and of class 1."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 60, (3, size, size), dtype=np.uint8)
    image[:, :, size // 2 :] += 180
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[:, size // 2 :] = 1
    mask[:3] = IGNORE_INDEX
    return Tile(name="halves", image=image, mask=mask)


class Interrupted(Exception):  # noqa: N818
    pass


@pytest.mark.numbers
class TestLearning:
    @pytest.mark.parametrize("model", ["urec", "unet"])
    def test_one_patch_is_learned_by_heart(self, run, model):
        tiles = pack_tiles([_halves()])
        data = TrainingData(
            train=tiles,
            annotated=_pixels(tiles, tiles.masks),
            scaling=uint8_scaling(3),
            val=tiles,
            class_names=("dark", "bright"),
            exclude_from_mean=(),
        )
        config = _trial(model, width=4, steps=120, lr=1e-2, num_validations=4, schedule="cosine")
        result = run(config, data)
        assert result.history[0]["train/loss_seg"] > 0.3
        assert result.history[-1]["train/loss_seg"] < 0.06
        assert result.best_score > 0.98
        assert result.converged

    def test_the_reconstruction_is_learned(self, run):
        tiles = pack_tiles([_halves()])
        data = TrainingData(
            train=tiles,
            annotated=_pixels(tiles, tiles.masks),
            scaling=uint8_scaling(3),
            val=tiles,
            class_names=("dark", "bright"),
            exclude_from_mean=(),
        )
        config = _trial("urec", width=2, steps=30, lr=2e-2, num_validations=1, w1=0.9)
        history = run(config, data).history
        assert history[-1]["train/loss_rec"] < 0.5 * history[0]["train/loss_rec"]

    def test_the_score_is_that_of_the_returned_network(self, run, data):
        result = run(_trial(ema_decay=0.5, select_by="oa"))
        hits = labelled = 0
        for tile in data.val:
            logits = predict_logits(
                result.model, tile.image, window_px=64, step_px=64, batch_size=2, device=CPU
            )
            known = tile.mask != IGNORE_INDEX
            hits += (logits.argmax(0).numpy()[known] == tile.mask[known]).sum()
            labelled += known.sum()
        assert result.best_score == pytest.approx(hits / labelled)
        assert not result.model.training


class TestClicks:
    @pytest.mark.parametrize("model", ["urec", "unet"])
    def test_what_lies_off_the_points_clicked_changes_nothing_in_training(self, run, data, model):
        """Masks told the classes of all pixels of a disc, and where they border on each other."""
        unit, tiles = Unit(kind="point", size_px=3), data.train
        budget, pixels = draw_budget(tiles, fraction=0.3, seed=0, unit=unit, num_classes=3)
        class_px = np.array(budget.labelled_class_px)
        limits = dict.fromkeys(("asked_px", "smallest_px"), 0.3 * class_px.sum())
        points, _ = take_discs(tiles, unit, class_px, seed=0, **limits)
        clicked = tiles.starts[points.tiles] + points.pixels
        masks = np.where(tiles.masks == IGNORE_INDEX, IGNORE_INDEX, (tiles.masks + 1) % 3)
        masks = masks.astype(np.uint8)
        masks[clicked] = tiles.masks[clicked]
        other = replace(tiles, masks=masks)
        _, other_pixels = draw_budget(other, fraction=0.3, seed=0, unit=unit, num_classes=3)
        for sampling in ("random", "grid"):
            config = _trial(
                model,
                sampling=sampling,
                augment=True,
                reconstruct_on="annotated",
                steps=3,
                num_validations=1,
            )
            results = [
                run(config, replace(data, train=one, annotated=annotated))
                for one, annotated in ((tiles, pixels), (other, other_pixels))
            ]
            assert _same(*map(_weights, results))
            assert _record(results[0]) == _record(results[1])
        masks[clicked] = (masks[clicked] + 1) % 3
        changed = replace(tiles, masks=masks)
        _, changed_pixels = draw_budget(changed, fraction=0.3, seed=0, unit=unit, num_classes=3)
        result = run(config, replace(data, train=changed, annotated=changed_pixels))
        assert not _same(_weights(result), _weights(results[0]))


class TestReproducibility:
    @pytest.mark.parametrize("model", ["urec", "unet"])
    def test_the_same_seed_gives_the_same_bits_and_another_seed_others(self, run, model):
        results = [run(_trial(model, seed=seed, augment=True)) for seed in (3, 3, 4)]
        assert _same(_weights(results[0]), _weights(results[1]))
        assert _record(results[0]) == _record(results[1])
        assert not _same(_weights(results[0]), _weights(results[2]))
        assert results[0].history[0]["train/loss"] != results[2].history[0]["train/loss"]

    def test_the_seed_draws_weights_patches_and_augmentation_each(self, run, spy, data):
        def masks(data, **trial):
            spy["segmentation_loss"].clear()
            run(_trial("unet", steps=2, num_validations=1, **trial), data)
            return torch.cat([masks for _, masks in spy["segmentation_loss"]])

        one, other = (_new_model(_trial(seed=seed)).state_dict() for seed in (0, 1))
        assert not torch.equal(one["encoder.bottom.0.weight"], other["encoder.bottom.0.weight"])
        for sampling in ("random", "grid"):
            drawn = [masks(data, seed=seed, sampling=sampling) for seed in (0, 0, 1)]
            assert torch.equal(drawn[0], drawn[1])
            assert not torch.equal(drawn[0], drawn[2])
        tile = pack_tiles([_halves()])  # has room for one patch: what differs is how it is turned
        one_patch = replace(data, train=tile, annotated=_pixels(tile, tile.masks))
        turned = [masks(one_patch, seed=seed, augment=True) for seed in (0, 0, 1)]
        assert torch.equal(turned[0], turned[1])
        assert not torch.equal(turned[0], turned[2])
        as_is = torch.from_numpy(tile.tile(0).mask.copy()).long().expand(4, -1, -1)
        assert torch.equal(masks(one_patch), as_is)

    def test_global_generators_have_no_influence(self, run):
        torch.manual_seed(1)
        one = run(_trial(augment=True, steps=3))
        torch.manual_seed(2)
        assert _same(_weights(one), _weights(run(_trial(augment=True, steps=3))))

    @pytest.mark.parametrize("interrupted_at", [1, 2, 3])
    @pytest.mark.parametrize(
        ("model", "options"),
        [
            ("urec", {"augment": True, "ema_decay": 0.5, "schedule": "cosine", "warmup_steps": 3}),
            ("unet", {"sampling": "grid"}),
        ],
    )
    def test_an_interrupted_run_equals_an_undisturbed_one(
        self, run, tmp_path, model, options, interrupted_at
    ):
        config = _trial(model, **options)
        whole_rows, rows, calls = [], [], []
        whole = run(config, report=lambda step, more: whole_rows.extend(map(dict, more)))

        def interrupt(step, more):
            calls.append(step)
            if len(calls) == interrupted_at:
                raise Interrupted

        checkpoint = tmp_path / "checkpoint.pt"
        with pytest.raises(Interrupted):
            run(config, report=interrupt, checkpoint=checkpoint)
        continued = run(
            config,
            report=lambda step, more: rows.extend(map(dict, more)),
            checkpoint=checkpoint,
        )
        assert _same(_weights(whole), _weights(continued))
        assert _record(whole) == _record(continued)
        # The continued run reports everything: whoever writes the record has lost the first part.
        assert json.dumps(rows) == json.dumps(whole_rows) == json.dumps(whole.history)

    def test_a_run_cut_between_validations_starts_from_the_last_one(self, run, tmp_path):
        config, checkpoint = _trial(steps=6, num_validations=2), tmp_path / "checkpoint.pt"
        whole, num_steps = run(config), []

        def cut(optimizer, args, kwargs):
            num_steps.append(1)
            if len(num_steps) == 5:
                raise Interrupted

        hook = register_optimizer_step_pre_hook(cut)
        try:
            with pytest.raises(Interrupted):
                run(config, checkpoint=checkpoint)
            num_steps.append(0)
            continued = run(config, checkpoint=checkpoint)
        finally:
            hook.remove()
        assert len(num_steps) == 6 + 3
        assert _same(_weights(whole), _weights(continued))
        assert _record(whole) == _record(continued)

    def test_a_finished_run_is_not_trained_again(self, run, tmp_path):
        config, checkpoint = _trial(), tmp_path / "checkpoint.pt"
        first = run(config, checkpoint=checkpoint)
        hook = register_optimizer_step_pre_hook(lambda *_: pytest.fail("trained again"))
        try:
            again = run(config, checkpoint=checkpoint)
        finally:
            hook.remove()
        assert _same(_weights(first), _weights(again))
        assert _record(first) == _record(again)
        assert (again.train_s, again.eval_s) == (first.train_s, first.eval_s)

    @pytest.mark.parametrize("num_kept", [0, 1, 2])
    def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(self, run, tmp_path, num_kept):
        config, checkpoint = _trial(), tmp_path / "checkpoint.pt"
        whole, steps = run(config), []

        def interrupt(step, more):
            steps.append(step)
            if step == 4:
                raise Interrupted

        with pytest.raises(Interrupted):
            run(config, report=interrupt, checkpoint=checkpoint)
        files = [checkpoint, tmp_path / "checkpoint-previous.pt"]
        for file in files[: 2 - num_kept]:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        continued = run(config, report=lambda step, _: steps.append(step), checkpoint=checkpoint)
        assert steps == {2: [2, 4, 6], 1: [2, 4, 4, 6], 0: [2, 4, 2, 4, 6]}[num_kept]
        assert continued.damaged == tuple(
            f"{file.name} was damaged and not used" for file in files[: 2 - num_kept]
        )
        assert _same(_weights(whole), _weights(continued))
        assert _record(whole) == _record(continued)


class TestReports:
    def test_rows_come_once_and_after_the_checkpoint_is_on_disk(self, run, tmp_path):
        checkpoint, steps, rows = tmp_path / "checkpoint.pt", [], []

        def report(step, more):
            assert read_state(checkpoint, CPU)["step"] == step
            assert more[-1]["step"] == step
            assert "val/mean_f1" in more[-1]
            steps.append(step)
            rows.extend(more)

        result = run(_trial(), report=report, checkpoint=checkpoint)
        assert steps == [2, 4, 6]
        assert rows == result.history
        assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]

    def test_a_long_run_writes_few_rows(self, run, monkeypatch):
        monkeypatch.setattr(loop, "_ROWS_PER_RUN", 3)
        result = run(_trial(steps=10, num_validations=2))
        assert [row["step"] for row in result.history] == [3, 5, 8, 10]
        assert ["val/oa" in row for row in result.history] == [False, True, False, True]

    def test_a_row_holds_the_mean_of_its_steps(self, run, monkeypatch):
        every = run(_trial(steps=4, num_validations=1)).history
        monkeypatch.setattr(loop, "_ROWS_PER_RUN", 1)
        one = run(_trial(steps=4, num_validations=1)).history
        assert len(every) == 4
        assert len(one) == 1
        for name in ("train/loss", "train/loss_seg", "train/loss_rec"):
            assert one[0][name] == pytest.approx(np.mean([row[name] for row in every]), rel=1e-12)

    def test_the_loss_is_equation_3(self, run):
        for row in run(_trial(w1=0.3)).history:
            expected = 0.3 * row["train/loss_rec"] + 0.7 * row["train/loss_seg"]
            assert row["train/loss"] == pytest.approx(expected, rel=1e-6)

    def test_unet_reports_no_reconstruction(self, run):
        for row in run(_trial("unet")).history:
            assert "train/loss_rec" not in row
            assert row["train/loss"] == row["train/loss_seg"]

    def test_times_are_measured(self, run):
        result = run(_trial(steps=2, num_validations=2))
        assert 0 < result.train_s < 60
        assert 0 < result.eval_s < 60


class TestSelection:
    def _scored(self, monkeypatch, scores):
        """Validations that find these overall accuracies, of 1000 pixels."""
        left = iter(scores)

        def evaluate(*_, **__):
            hits = round(1000 * next(left))
            return [{"full": torch.tensor([[hits, 1000 - hits, 0], [0, 0, 0], [0, 0, 0]])}]

        monkeypatch.setattr(loop, "evaluate_tiles", evaluate)

    @pytest.mark.parametrize("ema_decay", [0.0, 0.5])
    def test_the_first_best_validation_gives_the_weights(self, run, monkeypatch, ema_decay):
        self._scored(monkeypatch, [0.2, 0.7, 0.7, 0.5])
        at_validation = []

        def keep(*_):
            state = captured[0]
            at_validation.append({k: v.clone() for k, v in state.evaluated.state_dict().items()})

        captured, original = [], loop._new_state
        monkeypatch.setattr(
            loop, "_new_state", lambda *a: (captured.append(original(*a)), captured[0])[1]
        )
        config = _trial(steps=4, num_validations=4, select_by="oa", ema_decay=ema_decay)
        result = run(config, report=keep)
        assert (result.best_step, result.best_score) == (2, 0.7)
        assert _same(_weights(result), at_validation[1])
        assert not _same(_weights(result), at_validation[2])
        assert not _same(_weights(result), at_validation[3])
        assert [row["val/oa"] for row in result.history] == [0.2, 0.7, 0.7, 0.5]

    def test_the_measure_that_selects_is_the_one_asked_for(self, run):
        for name in ("oa", "miou", "mean_f1"):
            result = run(_trial(select_by=name, steps=3))
            assert result.best_score == max(row[f"val/{name}"] for row in result.history)

    def test_excluded_classes_are_left_out_of_the_selecting_mean(self, run, data):
        config = _trial(steps=2, num_validations=1)
        row = run(config, replace(data, exclude_from_mean=("c",))).history[-1]
        assert row["val/mean_f1"] != row["val/mean_f1_all"]
        assert row["val/mean_f1_all"] == run(config).history[-1]["val/mean_f1"]

    def test_a_score_that_does_not_exist_is_refused_and_not_an_empty_network(self, run, data):
        unlabelled = replace(data.val, masks=np.full_like(data.val.masks, IGNORE_INDEX))
        with pytest.raises(DataError, match="val/mean_f1 must be a number, got NaN at step 2"):
            run(_trial(), replace(data, val=unlabelled))

    def test_convergence_is_judged_by_the_selected_measure(self, run, monkeypatch):
        for scores, flat in (([0.5, 0.6, 0.605], True), ([0.5, 0.6, 0.62], False)):
            self._scored(monkeypatch, scores)
            assert run(_trial(select_by="oa")).converged is flat


@pytest.mark.numbers
class TestWhatIsLearnedFrom:
    def test_labels_outside_the_budget_have_no_influence(self, run, data):
        masks = np.array(data.train.masks)
        tiles = range(len(data.train))
        inside = np.concatenate([data.annotated.tile(index).reshape(-1) for index in tiles])
        assert inside.mean() < 0.5
        masks[~inside] = (masks[~inside] + 1) % 3
        result = run(_trial(), replace(data, train=replace(data.train, masks=masks)))
        assert _same(_weights(run(_trial())), _weights(result))
        # ... and labels inside it have.
        masks = np.where(inside & (masks == 0), np.uint8(1), masks)
        changed = run(_trial(), replace(data, train=replace(data.train, masks=masks)))
        assert not _same(_weights(changed), _weights(result))

    def test_validation_tiles_have_no_influence_on_training(self, run, data, random_tiles):
        config = _trial(steps=4, num_validations=1)
        one = run(config)
        other = run(config, replace(data, val=random_tiles([(50, 60)], seed=77)))
        assert _same(_weights(one), _weights(other))
        assert one.history[0] == other.history[0]
        assert one.best_score != other.best_score

    def test_validation_reads_validation_tiles_alone(self, run, data, monkeypatch):
        seen, original = [], loop.evaluate_tiles
        monkeypatch.setattr(
            loop,
            "evaluate_tiles",
            lambda model, tiles, *a, **k: (seen.append(tiles), original(model, tiles, *a, **k))[1],
        )
        run(_trial())
        assert len(seen) == 3
        assert all(tiles is data.val for tiles in seen)

    def test_validation_looks_at_the_average_of_weights(self, run, monkeypatch):
        seen, original = [], loop.evaluate_tiles

        def spied(model, *arguments, **named):
            seen.append({k: v.clone() for k, v in model.state_dict().items()})
            return original(model, *arguments, **named)

        monkeypatch.setattr(loop, "evaluate_tiles", spied)
        result = run(_trial(ema_decay=0.5, steps=3, num_validations=1))
        assert len(seen) == 1
        assert _same(seen[0], _weights(result))

    def test_the_number_of_validations_does_not_change_training(self, run):
        last = [run(_trial(num_validations=n, schedule="cosine")).history[-1] for n in (1, 6)]
        assert last[0]["train/loss"] == last[1]["train/loss"]

    def test_unet_ignores_w1_and_what_is_reconstructed(self, run):
        one = run(_trial("unet", w1=0.1, reconstruct_on="all"))
        other = run(_trial("unet", w1=0.9, reconstruct_on="annotated"))
        assert _same(_weights(one), _weights(other))
        assert _record(one) == _record(other)

    def test_w1_changes_urec(self, run):
        assert not _same(_weights(run(_trial(w1=0.1))), _weights(run(_trial(w1=0.5))))

    @pytest.mark.parametrize("reconstruct_on", ["all", "annotated"])
    def test_without_w1_only_the_segmentation_is_trained(self, run, reconstruct_on):
        config = _trial(w1=0.0, steps=4, num_validations=1, reconstruct_on=reconstruct_on)
        started = {k: v.clone() for k, v in _new_model(config).state_dict().items()}
        result = run(config)
        for name, value in result.model.named_parameters():
            trained = not torch.equal(value, started[name])
            assert trained == (not name.startswith("reconstruction.")), name
        for row in result.history:
            assert row["train/loss"] == row["train/loss_seg"]

    def test_without_w1_urec_is_a_unet(self, run):
        # Of the same batches; running statistics differ, shared blocks see both branches.
        urec = run(_trial("urec", w1=0.0, reconstruct_on="annotated", steps=4, num_validations=1))
        unet = run(_trial("unet", steps=4, num_validations=1))
        parameters = dict(urec.model.named_parameters())
        for name, value in unet.model.named_parameters():
            assert torch.equal(value, parameters[name]), name

    def test_unet_and_urec_of_one_seed_learn_from_the_same_masks(self, run, spy):
        for model in ("unet", "urec"):
            run(_trial(model, augment=True))
        calls = [masks for _, masks in spy["segmentation_loss"]]
        assert len(calls) == 12
        assert all(torch.equal(a, b) for a, b in zip(calls[:6], calls[6:], strict=True))

    def test_every_step_segments_only_patches_with_annotation(self, run, spy):
        run(_trial())
        for logits, masks in spy["segmentation_loss"]:
            assert logits.shape == (2, 3, 32, 32)
            assert (masks != IGNORE_INDEX).flatten(1).any(dim=1).all()

    def test_reconstruction_of_all_adds_as_many_patches_and_leaves_out_what_is_no_tile(
        self, run, spy, data
    ):
        run(_trial(reconstruct_on="all", batch_size=4))
        outside = 0
        for _, images, valid in spy["reconstruction_loss"]:
            assert images.shape == (8, 3, 32, 32)
            assert valid.shape == (8, 32, 32)
            # Only the second tile, 20 rows high, is lower than a patch.
            assert set(valid.sum(dim=(1, 2)).tolist()) <= {32 * 32, 20 * 32}
            outside += int((~valid).sum())
        assert outside > 0
        masks = [masks for _, masks in spy["segmentation_loss"]]
        valid = [call[2] for call in spy["reconstruction_loss"]]
        assert any(
            v[:4].sum() > (m != IGNORE_INDEX).sum() for v, m in zip(valid, masks, strict=True)
        )

    def test_reconstruction_of_the_annotated_is_restricted_to_the_budget(self, run, spy):
        rows = run(_trial(reconstruct_on="annotated")).history
        calls = zip(spy["segmentation_loss"], spy["reconstruction_loss"], rows, strict=True)
        for (_, masks), (rebuilt, images, valid), row in calls:
            assert images.shape == (2, 3, 32, 32)
            assert torch.equal(valid, masks != IGNORE_INDEX)
            errors = (rebuilt - images).abs().movedim(1, -1)[masks != IGNORE_INDEX]
            assert row["train/loss_rec"] == pytest.approx(errors.mean().item(), rel=1e-5)


@pytest.mark.numbers
class TestMethods:
    def test_a_second_branch_that_is_not_needed_changes_nothing(self, run):
        """U-REC trained on annotated pixels alone is U-Net, whose weights it has; bitwise."""
        unet = run(_trial("unet"))
        supervised = run(replace(_trial(), unannotated="nothing"))
        assert supervised.history[-1].keys() == unet.history[-1].keys()
        assert _record(supervised) == _record(unet)
        weights, started = _weights(supervised), _new_model(_trial()).state_dict()
        assert _same(
            {k: v for k, v in weights.items() if not k.startswith("reconstruction.")},
            _weights(unet),
        )
        untouched = [k for k in weights if k.startswith("reconstruction.")]
        assert all(torch.equal(weights[k], started[k]) for k in untouched)


INDICES = """
import torch
from torch import nn

def network(num_channels, num_classes):
    made = nn.Sequential(nn.Conv2d(num_channels, num_classes, 1))
    made.register_buffer("indices", torch.arange(1000))
    return made
"""


def test_the_average_of_weights_leaves_indices_as_they_are(run, own_module):
    result = run(_own_trial(own_module(INDICES), ema_decay=0.9))
    assert torch.equal(result.model.own.indices, torch.arange(1000))


DROPOUT = """
from torch import nn

def network(num_channels, num_classes):
    return nn.Sequential(nn.Dropout(0.5), nn.Conv2d(num_channels, num_classes, 1))
"""


@pytest.mark.numbers
class TestDropout:
    def test_what_it_drops_follows_from_the_seed_and_the_step(self, run, own_module, tmp_path):
        """An interrupted run equals an undisturbed one, whatever the process drew before."""
        config = _own_trial(own_module(DROPOUT))
        undisturbed = run(config)
        torch.rand(7)  # as another trial of this process may have done
        before = torch.get_rng_state()
        checkpoint = tmp_path / "interrupted.pt"

        def stop(step, rows):
            if step == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(config, report=stop, checkpoint=checkpoint)
        torch.rand(5)
        resumed = run(config, checkpoint=checkpoint)
        assert _same(_weights(resumed), _weights(undisturbed))
        assert _record(resumed) == _record(undisturbed)
        torch.set_rng_state(before)
        run(config)
        assert torch.equal(torch.get_rng_state(), before)

    def test_another_step_and_another_seed_drop_others(self, data, own_module):
        config = _own_trial(own_module(DROPOUT))
        state = loop._new_state(config, data, CPU, ALONE)
        batch = loop.build_sampler(config, data, CPU, ALONE).draw(0)
        seen = []
        state.model.own[0].register_forward_hook(lambda *shown: seen.append(shown[2].detach()))
        for seed, state.step in ((0, 0), (0, 0), (0, 1), (1, 0)):
            state.optimizer.param_groups[0]["lr"] = 0.0
            step_module.Step(state, replace(config, seed=seed), CPU, ALONE).take(batch)
        assert torch.equal(seen[0], seen[1])
        assert not torch.equal(seen[0], seen[2])
        assert not torch.equal(seen[0], seen[3])


REBUILDING = """
import torch
from torch import nn

class Rebuilding(nn.Module):
    def __init__(self, num_channels, num_classes):
        super().__init__()
        self.shared = nn.Sequential(
            nn.Conv2d(num_channels, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Dropout(0.5)
        )
        self.head, self.back = nn.Conv2d(6, num_classes, 1), nn.Conv2d(6, num_channels, 1)
        self.register_buffer("level", torch.zeros(()))

    def forward(self, images):
        if self.training:
            self.level = 0.9 * self.level + 0.1 * images.mean()
        features = self.shared(images - self.level).relu()
        return self.head(features), self.back(features)

network = Rebuilding
"""


class TestProbes:
    @pytest.mark.parametrize(
        "options",
        [
            {"ema_decay": 0.5, "augment": True},
            {"precision": "bf16", "sampling": "grid"},
            {"w1": 0.0},
            {"reconstruct_on": "annotated"},
            {"own": True},
        ],
        ids=str,
    )
    def test_training_is_bit_for_bit_that_without_probes(
        self, run, monkeypatch, own_module, options
    ):
        own = options.get("own")
        config = _trial(**{key: value for key, value in options.items() if key != "own"})
        if own:
            config = replace(config, model="mine", network=f"{own_module(REBUILDING)}:network")
            config = replace(config, unannotated="reconstruction")
        results = []
        for probed in (frozenset(), frozenset(config.training.validation_steps())):
            monkeypatch.setattr(loop, "probed_steps", lambda _, probed=probed: probed)
            generators = torch.get_rng_state()
            results.append(run(config))
            assert torch.equal(torch.get_rng_state(), generators)
        assert _same(*map(_weights, results))
        shares = [row.pop("train/grad_share_rec", None) for row in results[1].history]
        assert _record(results[0]) == _record(results[1])
        assert sum(share is not None for share in shares) == 3
        assert all((share == 0.0) == (config.training.w1 == 0.0) for share in shares if share)

    def test_the_last_validation_of_a_short_run_has_the_share_alone(self, run):
        history = run(_trial()).history
        assert ["train/grad_share_rec" in row for row in history] == [False] * 5 + [True]
        assert 0.0 < history[-1]["train/grad_share_rec"] < 1.0

    def test_a_method_of_one_term_has_no_share(self, run):
        history = run(_trial("unet")).history
        assert not any(name.startswith("train/grad") for row in history for name in row)


class TestOptimisation:
    def test_the_optimiser_gets_the_rates_and_rows_report_them(self, run):
        config = _trial(schedule="cosine", warmup_steps=2)
        used = []
        hook = register_optimizer_step_pre_hook(
            lambda optimizer, *_: used.append([g["lr"] for g in optimizer.param_groups])
        )
        try:
            history = run(config).history
        finally:
            hook.remove()
        expected = [learning_rate(config.training, step) for step in range(6)]
        assert used == [[rate] for rate in expected]
        assert [row["train/lr"] for row in history] == expected

    def test_adam_with_its_defaults(self, run):
        # The first step of Adam moves every weight by the learning rate, up to epsilon.
        config = _trial("unet", steps=1, num_validations=1, lr=0.003)
        started = dict(_new_model(config).named_parameters())
        moved = torch.cat(
            [(v - started[k]).abs().flatten() for k, v in run(config).model.named_parameters()]
        )
        assert moved.max().item() == pytest.approx(0.003, rel=1e-3)
        assert moved.median().item() == pytest.approx(0.003, rel=0.05)

    @pytest.mark.numbers
    def test_weight_decay_is_that_of_adamw(self, run, monkeypatch):
        """The same weights as torch's AdamW, bitwise; others than without decay, or with L2."""
        decayed = _weights(run(_trial(weight_decay=0.05)))
        plain = _weights(run(_trial(weight_decay=0.0)))
        adam = torch.optim.Adam

        def adamw(parameters, *, decoupled_weight_decay, **named):
            assert decoupled_weight_decay
            return torch.optim.AdamW(parameters, **named)

        def coupled(parameters, *, decoupled_weight_decay, **named):
            return adam(parameters, **named)

        monkeypatch.setattr(loop, "UncompiledAdam", adamw)
        assert _same(decayed, _weights(run(_trial(weight_decay=0.05))))
        assert not _same(decayed, plain)
        monkeypatch.setattr(loop, "UncompiledAdam", coupled)
        assert not _same(decayed, _weights(run(_trial(weight_decay=0.05))))
        assert _same(plain, _weights(run(_trial(weight_decay=0.0))))

    def test_the_average_of_weights_by_hand(self, run):
        config = _trial("unet", steps=3, num_validations=1, ema_decay=0.6)
        steps = []
        hook = register_optimizer_step_post_hook(
            lambda optimizer, *_: steps.append(
                [p.detach().double().clone() for p in optimizer.param_groups[0]["params"]]
            )
        )
        try:
            result = run(config)
        finally:
            hook.remove()
        for i, parameter in enumerate(result.model.parameters()):
            average = 0.6 * (0.6 * steps[0][i] + 0.4 * steps[1][i]) + 0.4 * steps[2][i]
            assert torch.allclose(parameter.double(), average, atol=1e-6)

    def test_running_statistics_are_averaged_too(self, run):
        plain, averaged = (
            run(_trial("unet", steps=3, num_validations=1, ema_decay=decay)) for decay in (0, 0.6)
        )
        name = "encoder.stages.0.0.1.running_mean"
        assert not torch.equal(plain.model.state_dict()[name], averaged.model.state_dict()[name])
        assert plain.history[-1]["train/loss"] == averaged.history[-1]["train/loss"]

    def test_bf16_keeps_weights_and_losses_in_float32(self, run, spy):
        result = run(_trial(precision="bf16", steps=2, num_validations=1))
        exact = run(_trial(steps=2, num_validations=1))
        assert spy["segmentation_loss"][0][0].dtype == torch.bfloat16
        assert all(p.dtype == torch.float32 for p in result.model.parameters())
        assert not _same(_weights(result), _weights(exact))
        loss, expected = (r.history[0]["train/loss"] for r in (result, exact))
        assert loss == pytest.approx(expected, rel=0.02)

    def test_a_loss_that_is_not_finite_stops_the_run_and_spares_the_checkpoint(
        self, run, data, tmp_path
    ):
        config, checkpoint = _trial(), tmp_path / "checkpoint.pt"

        def stop(step, rows):
            raise Interrupted

        with pytest.raises(Interrupted):
            run(config, report=stop, checkpoint=checkpoint)
        new_state = loop._new_state(config, data, CPU, ALONE)
        new_state.restore(checkpoint, CPU)
        new_state.model.get_parameter("segmentation.head.bias").data[0] = math.nan
        new_state.save(checkpoint)
        before = checkpoint.read_bytes()
        with pytest.raises(FloatingPointError, match=r"loss must be finite, got .*nan.* lower lr"):
            run(config, checkpoint=checkpoint)
        assert checkpoint.read_bytes() == before

    def test_weights_that_burst_in_the_last_step_are_found_by_validation(self, run):
        def burst(optimizer, *_):
            optimizer.param_groups[0]["params"][0].data.fill_(math.nan)

        hook = register_optimizer_step_post_hook(burst)
        try:
            with pytest.raises(FloatingPointError, match="logits must be finite"):
                run(_trial(steps=1, num_validations=1))
        finally:
            hook.remove()


def test_paired_models_start_from_the_same_weights():
    unet, urec = (_new_model(_trial(model, seed=5)).state_dict() for model in ("unet", "urec"))
    for name, value in unet.items():
        assert torch.equal(value, urec[name]), name


def _new_model(config):
    tiles = pack_tiles([_halves()])
    data = TrainingData(
        train=tiles,
        annotated=_pixels(tiles, tiles.masks),
        scaling=uint8_scaling(3),
        val=tiles,
        class_names=("a", "b", "c"),
        exclude_from_mean=(),
    )
    return loop._new_state(config, data, CPU, ALONE).model


def test_a_checkpoint_is_written_when_enough_work_is_at_risk(run, tmp_path):
    often, seldom = tmp_path / "often.pt", tmp_path / "seldom.pt"
    first = run(_trial(), checkpoint=often)
    second = run(_trial(), checkpoint=seldom, every_s=3600.0)
    assert often.exists()
    assert not seldom.exists()
    assert first.history == second.history


@pytest.mark.parametrize(
    ("precision", "device", "supported", "found"),
    [
        ("bf16", "cuda", True, True),
        ("bf16", "cuda", False, False),
        ("fp32", "cuda", True, False),
        ("bf16", "cpu", False, True),
    ],
)
def test_bf16_where_the_device_has_it(monkeypatch, data, precision, device, supported, found):
    def is_supported(including_emulation):
        assert not including_emulation
        return supported

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    config = _trial(precision=precision)
    state = loop._new_state(config, data, CPU, ALONE)
    assert step_module.Step(state, config, torch.device(device), ALONE).bf16 is found


def test_the_loop_needs_torch_and_numpy_alone():
    """A machine with a GPU and little else can measure it."""
    code = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in ("rasterio", "PIL", "ray", "mlflow", "optuna", "scipy", "pandas", "yaml"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import trainables.training.loop
"""
    subprocess.run([sys.executable, "-c", code], check=True)
