"""The calibration run, which starts processes of its own."""

import multiprocessing
import os
import re
import time
from dataclasses import replace

import pytest
import torch

from study.design.arms import confirm_trial, plan_arms
from study.design.preflight import find_dataset, read_data
from study.estimate import calibration as calibration_module
from study.estimate.calibration import Calibration, calibrate
from trainables.errors import ConfigError, DataError
from trainables.trial.microbenchmark import Timings, take_sample

TIMINGS = Timings(step_s=1.0, validation_s=2.0, test_s=3.0, picture_s=4.0)


@pytest.fixture
def study_sample(make_config, tmp_path):
    config = make_config()
    spec = find_dataset(config)
    data = read_data(config, spec)
    names = tuple(one.name for one in spec.classes)
    return take_sample(data.tiles, data.scaling, names, tmp_path / "sample")


@pytest.fixture
def trial(make_config):
    config = make_config(steps=10, num_validations=5)
    return confirm_trial(config, plan_arms(config)[0], 1, {})


def fake_processes(monkeypatch, work):
    """Run `work` in forks instead of fresh processes, which would import everything anew."""
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(calibration_module.multiprocessing, "get_context", lambda _: fork)
    monkeypatch.setattr(calibration_module, "measure_timings", work)


def run(trial, **options):
    given = {"num_processes": 1, "cpus": 1.0, "num_gpus": 0} | options
    return calibrate({"unet": trial}, None, **given)


@pytest.mark.slow
def test_fresh_processes_measure_every_model(make_config, study_sample):
    config = make_config()
    trials = {arm.variant.name: confirm_trial(config, arm, 1, {}) for arm in plan_arms(config)}
    found = calibrate(trials, study_sample, num_processes=2, cpus=1, num_gpus=0, limit_s=0.05)
    assert set(found.timings) == {"urec", "unet"}
    assert all(timing.step_s > 0 and timing.test_s > 0 for timing in found.timings.values())
    assert 0 < found.start_s < found.taken_s
    assert 0 < found.share <= 1


def test_a_trial_takes_its_pace_and_a_share_of_a_start(trial):
    found = Calibration(timings={"unet": TIMINGS}, start_s=2.0, taken_s=9.0)
    per_trial = calibration_module._TRIAL_STARTS * 2.0
    assert found.trial_s("unet", trial) == pytest.approx(10 + 5 * 2 + 3 + 4 + per_trial)
    search = replace(trial, phase="search")
    assert found.trial_s("unet", search) == pytest.approx(10 + 5 * 2 + 4 + per_trial)
    assert found.fixed_s == calibration_module._FIXED_STARTS * 2.0


def test_an_idle_machine_is_as_much_faster_as_other_work_took(trial):
    found = Calibration(
        timings={"unet": TIMINGS}, start_s=2.0, taken_s=9.0, share=0.25, start_share=0.5
    )
    idle = found.idle()
    assert idle.timings["unet"].trial_s(trial) == pytest.approx(TIMINGS.trial_s(trial) / 4)
    assert idle.fixed_s == pytest.approx(found.fixed_s / 2)
    assert (idle.share, idle.start_share) == (1, 1)


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        ((0.0, 0.0), (3.0, 1.0), 0.75),
        ((1.0, 2.0), (2.0, 2.0), 1.0),
        ((0.0, 0.0), (0.0, 0.0), 1.0),  # nobody counts
    ],
)
def test_share_is_the_time_run_of_the_time_asked_for(before, after, share):
    assert calibration_module._share(before, after) == share


def test_processes_are_averaged(monkeypatch, trial, tmp_path):
    def measure(trial, sample, *, device, limit_s):
        (tmp_path / str(os.getpid())).touch()
        return TIMINGS if device.index == 0 else replace(TIMINGS, step_s=3.0)

    fake_processes(monkeypatch, measure)
    found = run(trial, num_processes=2, num_gpus=2)
    assert found.timings["unet"] == replace(TIMINGS, step_s=2.0)
    assert len(list(tmp_path.iterdir())) == 2


def test_no_more_processes_than_tell_something(monkeypatch, trial, tmp_path):
    def measure(*_, **__):
        (tmp_path / str(os.getpid())).touch()
        return TIMINGS

    fake_processes(monkeypatch, measure)
    run(trial, num_processes=50)
    assert len(list(tmp_path.iterdir())) == calibration_module._MOST_PROCESSES


def test_processes_give_way_as_trials_do(monkeypatch, trial):
    niceness = os.nice(0)

    def measure(*_, **__):
        return replace(TIMINGS, step_s=float(os.nice(0)))

    fake_processes(monkeypatch, measure)
    expected = min(19, niceness + 15)
    assert run(trial).timings["unet"].step_s == expected
    assert os.nice(0) == niceness


def test_what_goes_wrong_in_a_process_is_raised(monkeypatch, trial):
    def measure(*_, **__):
        raise DataError("tiles must be good, got bad")

    fake_processes(monkeypatch, measure)
    with pytest.raises(DataError, match="got bad"):
        run(trial, num_processes=2)


def test_a_gpu_that_is_too_small_is_said(monkeypatch, trial):
    def measure(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    fake_processes(monkeypatch, measure)
    with pytest.raises(ConfigError, match=re.escape("Tried to allocate 2 GiB.'; lower batch_size")):
        run(trial)


def test_a_killed_process_is_said_and_none_is_left(monkeypatch, trial):
    def measure(trial, sample, *, device, limit_s):
        if device.index == 1:
            os._exit(9)
        time.sleep(60)

    fake_processes(monkeypatch, measure)
    with pytest.raises(ConfigError, match="killed while calibrating; lower --concurrent"):
        run(trial, num_processes=2, num_gpus=2)
    assert multiprocessing.active_children() == []
