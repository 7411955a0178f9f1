"""Which trials keep their maps; what else a task holds is tested with the runner."""

import pytest
import ray

from study.design.arms import confirm_seeds, confirm_trial, plan_arms, search_trial
from study.design.preflight import find_dataset, read_data
from study.design.preparation import prepare
from study.machines.slots import find_slots
from study.trials.tasks import TaskBuilder
from trainables.data.budgets.annotation import Budget
from trainables.data.tilesets.node_tiles import NodeTiles


@pytest.fixture
def study(make_config, monkeypatch):
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(space="w1,label_frac=0.25/1", seeds=3, seed=4, cpus=0.5)
    data = read_data(config, find_dataset(config))
    budgets = prepare(config, data)
    return config, TaskBuilder(config, data, budgets, find_slots(config))


def test_the_first_confirmation_of_every_arm_keeps_its_maps(study):
    config, tasks = study
    assert confirm_seeds(config) == (5, 6, 7)
    for arm in plan_arms(config):
        kept = [tasks.build(confirm_trial(config, arm, s, {})).keep_maps for s in (5, 6, 7)]
        assert kept == [True, False, False]


def test_no_search_trial_does(study):
    config, tasks = study
    for arm in plan_arms(config):
        assert tasks.build(search_trial(config, arm, 0, {})).keep_maps is False


def test_without_a_storage_trials_write_to_the_folder_of_the_study(study):
    config, tasks = study
    task = tasks.build(confirm_trial(config, plan_arms(config)[0], 5, {}))
    assert task.store is None
    assert task.folder == config.folder.resolve() / "trials" / "confirm-urec-f0.25-s5"


@pytest.mark.parametrize("mapped", [False, True])
def test_with_a_storage_each_trial_has_its_place_there(make_config, monkeypatch, tmp_path, mapped):
    """Tiles in memory travel through Ray; mapped ones, which may exceed it, through the storage."""
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(
        space="label_frac=1", cpus=0.5, storage=str(tmp_path / "storage"), workers="1..2",
        batch_size=4, tile_memory_mib=0.001 if mapped else None, address="auto",
    )  # fmt: skip
    data = read_data(config, find_dataset(config))
    budgets = prepare(config, data)
    tasks = TaskBuilder(config, data, budgets, find_slots(config))
    task = tasks.build(confirm_trial(config, plan_arms(config)[0], 1, {}))
    assert task.resources.workers == (1, 2)
    place = tmp_path / "storage" / "tiny"
    assert task.store.uri == str(place / "trials" / "confirm-urec-f1.00-s1")
    for split, tiles in task.tiles.items():
        assert isinstance(tiles, NodeTiles) is mapped
        if mapped:
            assert (place / "tiles" / data.tiles[split].checksum / "images.npy").is_file()


@pytest.fixture
def profiled(make_config, monkeypatch):
    """Makes tasks anew, as every run of the command does."""
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(space="w1,label_frac=0.25/1", cpus=0.5, profile=True)
    data = read_data(config, find_dataset(config))
    budgets = prepare(config, data)
    trials = [search_trial(config, arm, 0, {}) for arm in plan_arms(config)]
    return config, trials, lambda: TaskBuilder(config, data, budgets, find_slots(config))


def test_the_budget_of_a_variant_is_in_its_order_and_the_same_for_all_models(
    make_config, monkeypatch
):
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(
        space="label_frac=0.25/1", compare="budget_order=random/diverse", seeds=1, cpus=0.5,
        budget_px=16, val_frac="same",
    )  # fmt: skip
    data = read_data(config, find_dataset(config))
    budgets = prepare(config, data)
    tasks = TaskBuilder(config, data, budgets, find_slots(config))
    found, val = {}, set()
    for arm in plan_arms(config)[:4]:
        task = tasks.build(confirm_trial(config, arm, 1, {}))
        order = arm.variant.levels["budget_order"]
        assert task.trial.training.budget_order == order
        budget = Budget.from_plain(task.budget)
        assert budget.unit.order == order
        assert task.annotated.checksum == budget.pixels_checksum
        found.setdefault(order, set()).add(budget.checksum)
        val.add(task.val_budget["checksum"])
    assert [len(one) for one in found.values()] == [1, 1]
    assert found["random"] != found["diverse"]
    assert len(val) == 1  # validation has labels in random order, whatever training has


def test_without_a_profile_nothing_is_timed_or_traced(study):
    config, tasks = study
    task = tasks.build(search_trial(config, plan_arms(config)[0], 0, {}))
    assert (task.timed_since, task.trace) == (None, False)


def test_the_first_trial_is_traced_also_when_it_is_given_out_again(profiled):
    _, trials, begin = profiled
    tasks = begin()
    order = [trials[1], trials[0], trials[1], trials[2]]
    assert [tasks.build(trial).trace for trial in order] == [True, False, True, False]


def test_every_task_says_when_it_was_made(profiled, monkeypatch):
    _, trials, begin = profiled
    moments = iter([100.0, 200.0])
    tasks = begin()
    monkeypatch.setattr("study.trials.tasks.time.time", lambda: next(moments))
    assert [tasks.build(trial).timed_since for trial in trials[:2]] == [100.0, 200.0]


def test_a_study_goes_on_to_trace_unless_it_has_a_trace(profiled):
    config, trials, begin = profiled
    begin().build(trials[0])
    tasks = begin()  # the trial of before had been traced by no means
    assert tasks.build(trials[1]).trace
    folder = config.folder / "trials" / trials[1].key / "profile"
    folder.mkdir(parents=True)
    (folder / "trace.json.gz").write_bytes(b"")
    tasks = begin()
    assert not any(tasks.build(trial).trace for trial in trials)


@pytest.mark.parametrize(("val_frac", "asked"), [("same", 0.25), (0.5, 0.5)])
def test_a_trial_is_given_the_validation_budget_of_its_seed_and_arm(
    make_config, monkeypatch, val_frac, asked
):
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(space="label_frac=0.25/1", cpus=0.5, val_frac=val_frac)
    budgets = prepare(config, data := read_data(config, find_dataset(config)))
    tasks = TaskBuilder(config, data, budgets, find_slots(config))
    for trial in (
        search_trial(config, plan_arms(config)[0], 0, {}),
        confirm_trial(config, plan_arms(config)[0], 2, {}),
    ):
        task = tasks.build(trial)
        budget = Budget.from_plain(task.val_budget)
        assert (budget.split, budget.seed, budget.fraction_asked) == ("val", trial.seed, asked)
        assert task.val_annotated.checksum == budget.pixels_checksum


def test_no_budget_where_all_of_validation_counts(study):
    config, tasks = study
    task = tasks.build(search_trial(config, plan_arms(config)[0], 0, {}))
    assert (task.val_budget, task.val_annotated) == (None, None)
