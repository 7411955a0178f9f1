"""`--dry-run`."""

import json
import shutil
from functools import partial
from types import SimpleNamespace

import pytest

from study.design import preflight
from study.design.arms import confirm_trial, plan_arms, search_trial
from study.design.preparation import prepare
from study.estimate import plan as plan_module
from study.estimate.calibration import Calibration
from study.estimate.plan import about_text, plan_text
from study.machines.slots import Node, find_slots
from trainables.data.scenes.synthetic import write_scenes
from trainables.errors import ConfigError, DataError
from trainables.trial.folder.outcomes import write_failed
from trainables.trial.microbenchmark import Timings

AREAS = {"train": (1, 3, 5, 7), "val": (15,), "test": (2,)}
SMALL_SCENES = partial(write_scenes, areas=AREAS, size_px=160, num_processes=1)


class FakeCalibration:
    """Stands for `calibrate`: a step takes 1 s, everything else nothing."""

    share = 1.0
    start_s = 0.0

    def __call__(self, trials, sample, **options):
        self.trials, self.sample, self.options = trials, sample, options
        timing = Timings(step_s=1.0, validation_s=0.0, test_s=0.0, picture_s=0.0)
        return Calibration(
            timings=dict.fromkeys(trials, timing),
            start_s=self.start_s,
            taken_s=7.0,
            share=self.share,
        )


@pytest.fixture(autouse=True)
def calibrated(monkeypatch):
    fake = FakeCalibration()
    monkeypatch.setattr(plan_module, "calibrate", fake)
    return fake


def line_with(text, words):
    (line,) = [line for line in text.splitlines() if words in line]
    return line


def test_plan_names_arms_trials_and_disk(make_config, tmp_path):
    config = make_config(
        space="w1=0.01..0.5,label_frac=0.1/1", trials=4, seeds=3, cpus=1, concurrent=1
    )
    text = plan_text(config)
    lines = text.splitlines()
    assert lines[0] == f"study tiny, preset demo, to {tmp_path / 'studies' / 'tiny'}"
    assert [line.split() for line in lines[1:5]] == [
        ["urec-f0.10", "4", "search", "+", "3", "confirm", "(w1=0.01..0.5)"],
        ["unet-f0.10", "3", "confirm", "(nothing", "to", "search)"],
        ["urec-f1.00", "4", "search", "+", "3", "confirm", "(w1=0.01..0.5)"],
        ["unet-f1.00", "3", "confirm", "(nothing", "to", "search)"],
    ]
    assert "20 trials of 4 steps with 2 patches, 1 at once" in text
    assert "MiB" in lines[-1]
    assert list(tmp_path.iterdir()) == []


def test_plan_shows_steps_and_compute_of_each_variant(make_config):
    given = {"space": "label_frac=1", "seeds": 3, "equal": "compute", "compare": "w1=0/0.1"}
    lines = plan_text(make_config(**given)).splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("every trial spends "))
    assert "trials of 4 steps of the costliest with 2 patches" in lines[first - 1]
    assert [line.split(" steps of ")[0] for line in lines[first + 1 : first + 4]] == [
        "  U-REC, w1 0: 4", "  U-REC, w1 0.1: 4", "  U-Net: 9",
    ]  # fmt: skip


def test_plan_counts_the_seeds_of_the_search(make_config, calibrated):
    config = make_config(space="w1=0.01..0.5,label_frac=1", trials=4, seeds=3, search_seeds=2)
    text = plan_text(config)
    urec, unet = (line.strip() for line in text.splitlines()[1:3])
    assert urec.startswith("urec-f1.00 8 search (4 settings, 2 seeds each) + 3 confirm")
    assert unet.startswith("unet-f1.00 3 confirm")
    assert "14 trials of 4 steps" in text


def test_plan_estimates_the_time(make_config, capsys):
    text = plan_text(make_config(steps=120, trials=4, seeds=3, space="w1", concurrent=1))
    # 4 + 3 trials of U-REC and 3 of U-Net, each of 120 s, one after the other
    line = line_with(text, "estimated time")
    assert line == (
        "estimated time: about 20 min (U-REC 2 min, U-Net 2 min a trial), "
        "from a calibration run of 7 s"
    )
    assert "calibrating: training U-REC and U-Net" in capsys.readouterr().err


def test_plan_says_what_other_work_took(make_config, calibrated):
    calibrated.share = 0.5
    text = plan_text(make_config(steps=120, trials=4, seeds=3, space="w1", concurrent=1))
    line = line_with(text, "estimated time")
    assert "about 20 min" in line
    assert line.endswith("beside other work, which took 50 % of the CPUs; at most 10 min without")


def test_plan_of_what_is_compared_and_at_which_size_it_was_measured(make_config, calibrated):
    text = plan_text(
        make_config(space="width=4/8,label_frac=1", compare="w1=0/0.1", steps=10, concurrent=1)
    )
    assert list(calibrated.trials) == ["U-REC, w1 0", "U-REC, w1 0.1", "U-Net"]
    assert "(U-REC, w1 0 10 s, " in text
    assert "a trial at width 4), from a calibration run" in text
    assert line_with(text, "urec-w1-0.1-f1.00").startswith("  urec-w1-0.1-f1.00 ")
    assert line_with(text, "unet-f1.00").startswith("  unet-f1.00        ")


def test_plan_measures_what_will_run(make_config, calibrated):
    plan_text(make_config(space="label_frac=0.1/1", models=["unet"], cpus=1, concurrent=1))
    assert set(calibrated.trials) == {"U-Net"}
    assert calibrated.trials["U-Net"].training.steps == 4
    assert calibrated.options == {"num_processes": 1, "cpus": 1, "num_gpus": 0}
    assert set(calibrated.sample.shapes) == {"train", "val", "test"}


def test_plan_says_what_a_trial_takes_of_the_machine(make_config):
    config = make_config(cpus=0.5, concurrent=1)
    slots = find_slots(config)
    assert f"a trial takes 0.5 of {slots.num_cpus} CPUs" in plan_text(config)


def test_plan_in_epochs_gives_steps(make_config):
    # tiles of 80 x 96: patches at 0, 16, 32, 48 and 0, 16 ... 64; 4 tiles, 2 patches a step
    config = make_config(epochs=5, stride_px=16, sampling="grid")
    assert "trials of 200 steps (5 epochs) with 2 patches" in plan_text(config)


def test_plan_says_the_disk_that_is_demanded(make_config):
    config = make_config(width=32, seeds=2, models=["urec"], space="label_frac=1", concurrent=1)
    demanded = preflight.required_disk_mib(config, concurrent=1, num_confirm=2)
    assert f"disk for checkpoints: at most {demanded:.0f} MiB, " in plan_text(config)


def test_plan_of_mapped_tiles_writes_nothing(make_config, tmp_path, calibrated):
    plan_text(make_config(tile_memory_mib=0.001, sampling="random"))
    assert calibrated.sample.train.folder is not None
    assert not calibrated.sample.train.folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_plan_of_the_built_in_scenes_writes_nothing(make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "write_scenes", SMALL_SCENES)
    plan_text(make_config(data=None))
    assert list(tmp_path.iterdir()) == []


def test_plan_takes_the_built_in_scenes_that_are_there(make_config, tmp_path, monkeypatch):
    monkeypatch.setattr(preflight, "write_scenes", SMALL_SCENES)
    config = make_config(data=None)
    preflight.find_dataset(config)
    monkeypatch.setattr(
        "trainables.data.scenes.synthetic.render_scene", None
    )  # nothing can be drawn
    before = sorted(tmp_path.rglob("*"))
    assert "estimated time" in plan_text(config)
    assert sorted(tmp_path.rglob("*")) == before


def test_plan_of_bad_data_raises_as_a_study_does(make_config, write_dataset, tmp_path):
    folder = write_dataset(tmp_path / "data")
    (folder / "masks" / "a1.tif").unlink()
    with pytest.raises(DataError):
        plan_text(make_config(data=str(folder)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.123, "0.12 s"),
        (8.44, "8.4 s"),
        (9.96, "10 s"),
        (59.6, "60 s"),
        (99.4, "99 s"),
        (253.0, "4.2 min"),
        (5900.0, "98 min"),
        (7000.0, "1.9 h"),
        (47.6 * 3600, "48 h"),
        (268000.0, "3.1 days"),
        (123 * 86400.0, "120 days"),
    ],
)
def test_durations_have_two_digits(seconds, text):
    assert about_text(seconds) == text


def leave_result(folder, trial):
    folder.mkdir(parents=True)
    left = {"trial": trial.to_plain(), "score": 0.5, "history": []}
    (folder / "result.json").write_text(json.dumps(left))


def test_plan_of_a_study_that_has_begun(make_config):
    config = make_config(space="w1,label_frac=1", seeds=3)
    data = preflight.read_data(config, preflight.find_dataset(config))
    prepare(config, data)
    assert "are done" not in plan_text(config)
    (urec, _) = plan_arms(config)
    whole = line_with(plan_text(config), "estimated time")
    for number in (0, 1):
        trial = search_trial(config, urec, number, {"w1": 0.1})
        leave_result(config.trials_folder / trial.key, trial)
    confirm = confirm_trial(config, urec, 2, {"w1": 0.1})
    write_failed(config.trials_folder / confirm.key, confirm, [], "out of memory")
    left = line_with(plan_text(config), "are done")
    assert left.startswith("2 of 8 trials are done; what is left takes about ")
    assert line_with(plan_text(config), "estimated time") == whole, "that of all trials"
    with pytest.raises(ConfigError, match="trials: 2 -> 3"):
        plan_text(make_config(space="w1,label_frac=1", seeds=3, trials=3))
    grown = plan_text(make_config(space="w1,label_frac=1", seeds=4))
    assert "2 search + 4 confirm" in grown
    assert "a look at 4 seeds was not planned but added after 3" in grown


def test_confirmation_that_never_runs_was_said_to_take_time(make_config, calibrated):
    config = make_config(space="w1,label_frac=1", seeds=3)
    data = preflight.read_data(config, preflight.find_dataset(config))
    prepare(config, data)
    urec, unet = plan_arms(config)
    for number in range(urec.num_search):
        trial = search_trial(config, urec, number, {"w1": 0.1})
        folder = config.trials_folder / trial.key
        folder.mkdir(parents=True)
        write_failed(folder, trial, [], "out of memory")
    ended = [confirm_trial(config, unet, seed, {}) for seed in (1, 2, 3)]
    for trial in ended:
        leave_result(config.trials_folder / trial.key, trial)
    assert line_with(plan_text(config), "are done") == (
        "5 of 8 trials are done, 3 are left out: no search trial of their arm finished"
    )


def test_plan_tells_the_looks_and_counts_up_to_the_one_it_ends_at(make_config):
    config = make_config(models=["unet"], space="label_frac=1", seeds="8,14", look=8)
    text = plan_text(config)
    assert "unet-f1.00 8 confirm" in text
    assert line_with(text, "the study has looks at 8 and 14 seeds, which may spend 0.034 and 0.016")
    assert line_with(text, "this run ends at the look at 8 seeds")
    with pytest.raises(ConfigError, match="--look must be one of 8, 14, got 9"):
        plan_text(make_config(models=["unet"], space="label_frac=1", seeds="8,14", look=9))


def test_plan_of_groups_shares_the_work_and_counts_their_starts(make_config, calibrated):
    calibrated.start_s = 30.0
    options = {"models": ["unet"], "space": "label_frac=1", "seeds": 1, "gpus": 0, "cpus": 0.5}
    options["batch_size"] = 4
    alone = line_with(plan_text(make_config(**options)), "estimated time")
    assert "U-Net 10 s a trial" in alone, "4 s, and a fifth of a start"
    text = plan_text(make_config(workers=2, **options))
    assert "U-Net 65 s a trial" in line_with(text, "estimated time"), "half of it, and two starts"
    assert "a trial takes 2 workers with 0.5 of" in text
    assert "CPUs each, which share its time at best" in text


def test_plan_gives_no_time_where_trials_train_on_cards_that_are_elsewhere(
    make_config, monkeypatch, tmp_path
):
    slots = find_slots(make_config(gpus=1), (Node(num_cpus=4, num_gpus=1),))
    monkeypatch.setattr(plan_module, "_find_slots", lambda config: slots)
    text = plan_text(make_config(address="auto", storage=str(tmp_path / "storage")))
    assert "estimated time: unknown, since trials train on GPUs" in text
    assert "MiB in the storage" in text


def test_plan_refuses_whole_tiles_at_fractions_that_no_tile_fits(make_config, monkeypatch):
    """1, 2 and 5 % of the built-in scenes were the same tile, and were compared."""
    monkeypatch.setattr(preflight, "write_scenes", SMALL_SCENES)
    config = make_config(data=None, budget_unit="tile", space="label_frac=0.01/0.02/0.05")
    with pytest.raises(ConfigError, match=r"one and the same: .*1 tile.*--budget-unit block"):
        plan_text(config)


def test_plan_names_one_arm_for_equal_budgets_and_both_shares(make_config):
    config = make_config(budget_unit="tile", space="label_frac=0.01/0.05/1", val_frac=0.5)
    lines = plan_text(config).splitlines()
    arms = [line.split()[0] for line in lines if " confirm (" in line]
    assert arms == ["urec-f0.05", "unet-f0.05", "urec-f1.00", "unet-f1.00"]
    assert "label_frac 0.01/0.05 are one arm, named 0.05" in line_with("\n".join(lines), "one arm")
    # A tile is all of validation's: a unit is taken at least.
    assert line_with("\n".join(lines), "label_frac 0.05:").strip() == (
        "label_frac 0.05: 25 % of the training annotations, 40 % of all with validation"
    )
    assert line_with("\n".join(lines), "--val-frac 0.5").startswith("annotations: weights and")


def test_a_plan_was_made_for_a_disk_that_cannot_hold_the_study(make_config, monkeypatch):
    """It said `at most 900 MiB, 12 free`, and exit status 0; the study was then refused."""
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: SimpleNamespace(free=2**20, total=2**40, used=0)
    )
    config = make_config(width=32, space="label_frac=1")
    with pytest.raises(ConfigError, match=r"--output must have \d+ MiB free .* got 1 MiB"):
        plan_text(config)


def test_a_class_without_an_annotated_pixel_is_told_before_hours_of_training(make_config):
    text = plan_text(make_config(space="label_frac=0.001/1", budget_unit="point", budget_px=1))
    said = [line for line in text.splitlines() if "no annotated pixel of" in line]
    assert len(said) == 1, "one line for each fraction, and none for the whole"
    assert said[0].startswith("  label_frac 0.001 has no annotated pixel of ")
    assert "with seed" in said[0] or "with any seed" in said[0]
