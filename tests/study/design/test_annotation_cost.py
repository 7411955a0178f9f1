"""Minutes of budgets, by hand, and where they go."""

import dataclasses

import pytest
import ray
import yaml

from contract.names import MANIFEST
from study.design.annotation_cost import budget_minutes
from study.design.arms import confirm_trial, plan_arms
from study.design.budgets import draw_budgets, share_lines
from study.design.preflight import find_dataset, read_data
from study.design.preparation import prepare
from study.machines.slots import find_slots
from study.trials.tasks import TaskBuilder
from trainables.data.budgets.effort import effort_of
from trainables.errors import ConfigError

SPACE = "label_frac=0.25/1"


def _read(config):
    return read_data(config, find_dataset(config))


def test_prices_by_hand(make_config):
    prices = {"per_px": 0.001, "per_object": 0.5, "per_border_m": 0.02, "per_tile": 3}
    config = make_config(space=SPACE, budget_unit="tile", seeds=1, cost=prices, downsample=2)
    data = _read(config)
    data = dataclasses.replace(data, spec=dataclasses.replace(data.spec, gsd_m=0.1))
    budgets = draw_budgets(config, data)
    budget, pixels = drawn = budgets.train[1, 1.0, "random"]
    effort = effort_of(data.tiles["train"], pixels, budget.unit)
    assert (effort.px, effort.tiles) == (4 * 40 * 48, 4)
    # 4 x 4 squares of 10 x 12 px in each tile, none beside one of its class.
    assert effort.objects == 4 * 16
    assert effort.border_px == 4 * (3 * 40 + 3 * 48)
    minutes = 7.680 + 0.5 * 64 + 0.02 * 1056 * 0.2 + 3 * 4
    assert budget_minutes(config, data, drawn) == pytest.approx(minutes)
    assert budgets.minutes[1, 1.0, "random"] == pytest.approx(minutes)
    quarter = budgets.minutes[1, 0.25, "random"]
    assert quarter == pytest.approx(minutes / 4)
    assert [line.rpartition(", ")[2] for line in share_lines(config, budgets)[1:]] == [
        "14 minutes of annotation", "55.9 minutes of annotation",
    ]  # fmt: skip


def test_a_study_without_prices_says_nothing_of_minutes(make_config):
    config = make_config(space=SPACE)
    budgets = draw_budgets(config, _read(config))
    assert budgets.minutes == {}
    assert not any("minutes" in line for line in share_lines(config, budgets))


def test_borders_without_a_size_of_pixels_have_no_price(make_config):
    config = make_config(space=SPACE, cost={"per_border_m": 0.1})
    with pytest.raises(ConfigError, match=r"per_border_m of cost must be left out .* no gsd_m"):
        draw_budgets(config, _read(config))
    free = make_config(space=SPACE, cost={"per_border_m": 0, "per_tile": 1})
    assert draw_budgets(free, _read(free)).minutes


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ({"per_hour": 1}, "cost must have minutes for some of per_px, .* got per_hour"),
        ({}, "cost must have minutes for some of per_px, .* got none"),
        ({"per_px": -1}, "per_px of cost must be minutes from 0, got -1"),
        ({"per_px": float("nan")}, "per_px of cost must be minutes from 0, got nan"),
        ({"per_px": True}, "per_px of cost must be minutes from 0, got True"),
        ({"per_px": "1"}, "per_px of cost must be minutes from 0, got '1'"),
        ({"per_px": 0}, "cost must be above 0 for something"),
        ("per_px", "cost must be of type dict"),
    ],
)
def test_prices_that_are_none_are_refused(make_config, cost, message):
    with pytest.raises(ConfigError, match=message):
        make_config(space=SPACE, cost=cost)


def test_minutes_are_on_record_and_with_every_trial_and_stay(make_config, monkeypatch):
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(space=SPACE, cost={"per_px": 0.01}, seeds=1, cpus=0.5)
    data = _read(config)
    budgets = prepare(config, data)
    recorded = yaml.safe_load((config.folder / MANIFEST).read_text())["budgets"]
    assert [one["minutes"] for one in recorded] == [
        pytest.approx(one["annotated_px"] / 100) for one in recorded
    ]
    tasks = TaskBuilder(config, data, budgets, find_slots(config))
    for arm in plan_arms(config):
        task = tasks.build(confirm_trial(config, arm, 1, {}))
        assert task.annotation_minutes == budgets.minutes[1, arm.label_frac, "random"]
    other = make_config(space=SPACE, cost={"per_px": 0.02}, seeds=1, cpus=0.5)
    with pytest.raises(ConfigError, match=r"cost: .* -> "):
        prepare(other, data)
