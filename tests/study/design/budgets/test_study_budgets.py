"""Which budgets a study draws, and which fractions are one arm."""

import dataclasses
import shutil

import pytest
import ray
import yaml

from contract.names import BUDGETS, MANIFEST
from study.design.arms import confirm_trial, plan_arms
from study.design.budgets.drawing import distinct_arms, draw_budgets
from study.design.budgets.notes import equal_notes, share_lines
from study.design.budgets.study_budgets import EqualFractions
from study.design.preflight import find_dataset, read_data
from study.design.preparation import prepare
from study.machines.slots import find_slots
from study.trials.tasks import TaskBuilder
from trainables.data.budgets.annotation import Budget
from trainables.data.budgets.drawing import annotated_pixels
from trainables.errors import ConfigError, DataError


def read(config):
    return read_data(config, find_dataset(config))


def draw(config, earlier=None):
    return draw_budgets(config, read(config), earlier)


def test_identical_trials_are_one_arm_and_no_saving(make_config):
    """They were printed as "with at most 20 % of these annotations", of the same annotations."""
    config = make_config(space="label_frac=0.01/0.02/0.05/1", budget_unit="tile")
    budgets = draw(config)
    # Four tiles of the same size: the smallest budget is a quarter, nearest to the 5 % asked for.
    assert budgets.equal == (EqualFractions(asked=(0.01, 0.02, 0.05), kept=0.05),)
    assert budgets.fractions == (0.05, 1.0)
    assert {key[1] for key in budgets.train} == {0.05, 1.0}
    arms = distinct_arms(plan_arms(config), budgets)
    assert [arm.name for arm in arms] == ["urec-f0.05", "unet-f0.05", "urec-f1.00", "unet-f1.00"]
    (note,) = equal_notes(budgets)
    assert note == (
        "label_frac 0.01/0.02/0.05 are one arm, named 0.05: with every seed 1 tile, 25 % of the "
        "training annotations, since a tile is too large to tell them apart"
    )


def test_an_arm_is_named_by_the_fraction_nearest_to_what_is_reached(make_config):
    config = make_config(space="label_frac=0.3/0.4/1", budget_unit="tile")
    assert draw(config).equal == (EqualFractions(asked=(0.3, 0.4), kept=0.3),)


def test_fractions_that_are_all_one_budget_are_refused_with_reason_and_cure(make_config):
    config = make_config(space="label_frac=0.01/0.02/0.05", budget_unit="tile")
    with pytest.raises(ConfigError) as caught:
        draw(config)
    assert str(caught.value) == (
        "label_frac must have two fractions of different budgets at least, got 0.01/0.02/0.05, "
        "which are one and the same: with every seed 1 tile, 25 % of the training annotations, "
        "since a tile is too large to tell them apart; choose a smaller unit (--budget-unit "
        "block), or larger fractions"
    )


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"budget_unit": "block", "budget_px": 80}, r"budget_px, or --budget-unit area or point\)"),
        ({"budget_unit": "area", "budget_px": 80}, r"a cell of an area is .* smaller budget_px\)"),
        ({"budget_unit": "point"}, r"1 point, 0.0944 %.*\(a smaller budget_px\)"),
    ],
)
def test_units_of_every_kind_may_be_too_large(make_config, options, cure):
    with pytest.raises(ConfigError, match=cure):
        draw(make_config(space="label_frac=0.001/0.0011", seeds=1, **options))


def test_one_fraction_is_no_comparison_that_could_fail(make_config):
    config = make_config(space="label_frac=0.01", budget_unit="tile")
    assert draw(config).fractions == (0.01,)


def test_budgets_that_are_equal_for_some_seeds_alone_stay_arms_and_are_told(make_config):
    # Blocks of 32 px in 80 x 96: those of the lowest row have half of the pixels of the others.
    config = make_config(space="label_frac=0.20/0.22", seeds=8)
    budgets = draw(config)
    assert budgets.equal == ()
    assert budgets.fractions == (0.2, 0.22)
    same = [
        seed
        for seed in budgets.confirm_seeds
        if budgets.reached(0.2)[seed - 1] == budgets.reached(0.22)[seed - 1]
    ]
    assert 0 < len(same) < 8
    (note,) = equal_notes(budgets)
    assert note.startswith(
        f"label_frac 0.2 and 0.22 are the same budget with {len(same)} of 8 seeds "
        f"({', '.join(map(str, same))}), since a block is too large"
    )
    assert note.endswith("the report uses what each seed reached")


def test_a_study_goes_on_with_the_arms_it_began_with(make_config):
    """More seeds may tell apart what the first did not; a study of earlier versions never asked."""
    config = make_config(space="label_frac=0.2/0.21/1", seeds=8)
    begun = {"equal_budgets": [{"asked": [0.2, 0.21], "kept": 0.2}]}
    assert draw(config, begun).fractions == (0.2, 1.0)
    tiles = make_config(space="label_frac=0.01/0.02", budget_unit="tile")
    assert draw(tiles, {}).fractions == (0.01, 0.02)


def test_the_smallest_fraction_asked_leads_although_another_names_the_arm(make_config):
    """Which unit comes first follows from what was asked, so that budgets stay what they were."""
    config = make_config(space="label_frac=0.01/0.02/1", budget_unit="tile")
    assert {budget.smallest for budget, _ in draw(config).train.values()} == {0.01}


def test_blocks_at_1_percent_reach_less_and_the_plan_says_what(make_config):
    """They reached 0.53 to 1.00 of what was asked, and curves were drawn at what was asked."""
    config = make_config(space="label_frac=0.04/1", seeds=6)
    budgets = draw(config)
    reached = budgets.reached(0.04)
    assert min(reached) < max(reached) <= 0.04
    alone = f"{100 * min(reached):.3g} to {100 * max(reached):.3g} %"
    # One validation tile beside four of training: a fifth of all labels.
    low, high = ((4 * share + 1) / 5 for share in (min(reached), max(reached)))
    assert share_lines(config, budgets) == [
        "annotations: every label of the validation tiles counts at every fraction (--val-frac "
        "all), 20 % of all; test tiles are never counted",
        f"  label_frac 0.04: {alone} of the training annotations, {100 * low:.3g} to "
        f"{100 * high:.3g} % of all with validation",
        "  label_frac 1: 100 % of the training annotations, 100 % of all with validation",
    ]


def test_validation_is_drawn_like_training_nested_and_in_an_order_of_its_own(make_config):
    config = make_config(space="label_frac=0.25/0.5/1", val_frac="same", budget_px=16, seeds=3)
    data = read(config)
    # The same tiles in both splits: what differs is the order of the blocks alone.
    data = dataclasses.replace(data, tiles={**data.tiles, "val": data.tiles["train"]})
    budgets = draw_budgets(config, data)
    assert set(budgets.val) == {key[:2] for key in budgets.train}
    for seed in (0, 1, 2, 3):
        units = [budgets.val[seed, frac][0].units for frac in (0.25, 0.5)]
        assert units[1][: len(units[0])] == units[0]
        assert units[0] != budgets.train[seed, 0.25, "random"][0].units
    for (seed, fraction), (budget, _) in budgets.val.items():
        assert (budget.split, budget.seed, budget.fraction_asked) == ("val", seed, fraction)
        assert budget.unit == config.unit
    half = config.val_fraction(0.5)
    whole = [one / 2 for one in budgets.reached(0.5)]
    val = [budgets.val[seed, 0.5][0].fraction_reached / 2 for seed in (1, 2, 3)]
    expected = [a + b for a, b in zip(whole, val, strict=True)]
    assert budgets.reached_with_val(0.5, half) == pytest.approx(expected)


def test_a_fraction_of_validation_is_one_budget_for_all_arms(make_config):
    config = make_config(space="label_frac=0.25/1", val_frac=0.5, seeds=2)
    budgets = draw(config)
    assert set(budgets.val) == {(seed, 0.5) for seed in (0, 1, 2)}
    lines = share_lines(config, budgets)
    assert "of the validation tiles' labels at every fraction (--val-frac 0.5)" in lines[0]
    assert "drawn in blocks like those of training; test tiles are never counted" in lines[0]


def test_fractions_are_one_arm_where_their_budgets_are_the_same_in_every_order(make_config):
    config = make_config(
        space="label_frac=0.01/0.02/1", budget_unit="tile", compare="budget_order=random/diverse"
    )
    budgets = draw(config)
    assert sorted(budgets.orders) == ["diverse", "random"]
    assert [one.asked for one in budgets.equal] == [(0.01, 0.02)]
    assert len(budgets.reached(1.0)) == 2 * len(budgets.confirm_seeds)
    assert {arm.name for arm in distinct_arms(plan_arms(config), budgets)} == {
        f"{model}-{order}-f{frac}"
        for frac in ("0.02", "1.00")
        for model in ("urec", "unet")
        for order in ("random", "diverse")
    }


def test_the_plan_says_that_orders_take_the_same_pixels_at_100_percent_and_what_it_costs(
    make_config,
):
    """Both were trained there, and nothing said that they are one and the same."""
    config = make_config(
        space="w1,label_frac=0.25/1", budget_unit="tile", compare="budget_order=random/diverse",
        trials=3, seeds=2, search_seeds=1,
    )  # fmt: skip
    lines = [line for line in share_lines(config, draw(config)) if "same pixels" in line]
    arms = [arm for arm in plan_arms(config)
            if arm.label_frac == 1 and arm.variant.levels["budget_order"] == "random"]  # fmt: skip
    assert len(arms) == 2
    repeated = sum(arm.num_search_trials + 2 for arm in arms)
    assert lines == [
        "  label_frac 1: diverse and random order take the same pixels with every seed, so "
        f"{repeated} of the trials repeat others, and the orders differ by chance alone there"
    ]
    alone = make_config(space="w1,label_frac=0.25/1", budget_unit="tile")
    assert not any("same pixels" in line for line in share_lines(alone, draw(alone)))


def test_an_order_of_a_configuration_is_that_of_its_budgets(make_config):
    config = make_config(space="label_frac=0.25/1", budget_order="diverse", budget_px=16)
    budgets = draw(config)
    assert {key[2] for key in budgets.train} == {"diverse"}
    assert {budget.unit.order for budget, _ in budgets.train.values()} == {"diverse"}


@pytest.mark.parametrize(
    "options",
    [
        {"budget_unit": "point", "compare": "budget_order=random/diverse"},
        {"budget_unit": "point", "budget_order": "diverse"},
        {"budget_stratified": True, "space": "budget_order,label_frac"},
    ],
)
def test_orders_that_a_unit_cannot_have_are_refused_before_anything(make_config, options):
    with pytest.raises(ConfigError, match="budget_order must be random"):
        make_config(**options)


def test_fractions_that_one_order_alone_cannot_tell_apart_are_told(make_config):
    config = make_config(
        space="label_frac=0.25/0.5/1", budget_unit="tile", compare="budget_order=random/diverse"
    )
    budgets = draw(config)
    alike = {
        (seed, 0.5, "diverse"): budgets.train[seed, 0.25, "diverse"]
        for seed in budgets.confirm_seeds
    }
    (note,) = equal_notes(dataclasses.replace(budgets, train={**budgets.train, **alike}))
    num = len(budgets.confirm_seeds)
    assert note.startswith(
        f"label_frac 0.25 and 0.5 are the same budget in diverse order with {num} of {num} seeds"
    )


TABLE = "tile,fraction\na3,0.25\na1,0.5\na3,0.5\na2,0.5\n"


@pytest.fixture
def make_listed(make_config, tmp_path):
    """Makes a study whose budgets are these lists."""

    def make(text, **options):
        (tmp_path / "lists.csv").write_text(text)
        given = {"space": "label_frac=0.25/0.5/1", "budget_unit": "tile", "seeds": 2} | options
        return make_config(budget_lists=str(tmp_path / "lists.csv"), **given)

    return make


def test_budgets_are_exactly_the_tiles_of_published_lists(make_listed):
    config = make_listed(TABLE)
    data = read(config)
    budgets = draw_budgets(config, data)
    for seed in (0, 1, 2):
        budget, pixels = budgets.train[seed, 0.5, "random"]
        assert [name for name, _, _ in budget.units] == ["a3", "a1", "a2"]
        assert budget.listed
        assert not budget.exceeds
        again = Budget.from_plain(budget.to_plain())
        assert again == budget
        assert annotated_pixels(data.tiles["train"], again).checksum == pixels.checksum
    # The list is named by what its author says; the axis is what its tiles hold.
    assert budgets.reached(0.5) == (0.75, 0.75)
    assert budgets.reached(1.0) == (1.0, 1.0)


def test_budgets_are_exactly_the_blocks_of_published_lists(make_listed):
    text = "tile,row,column,fraction\na3,0,2,0.25\na3,0,2,0.5\na1,1,0,0.5\n"
    config = make_listed(text, budget_unit="block", budget_px=32)
    data = read(config)
    budgets = draw_budgets(config, data)
    budget, pixels = budgets.train[1, 0.5, "random"]
    assert budget.units == (("a3", 0, 2), ("a1", 1, 0))
    assert budget.listed
    assert budget.annotated_px == 2 * 32 * 32
    assert pixels.tile(data.tiles["train"].names.index("a3"))[:32, 64:96].all()
    again = Budget.from_plain(budget.to_plain())
    assert annotated_pixels(data.tiles["train"], again).checksum == pixels.checksum
    assert budgets.reached(1.0) == (1.0, 1.0)
    (note,) = equal_notes(draw(make_listed(
        "tile,row,column,fraction\na3,0,2,0.25\na3,0,2,0.5\n", budget_unit="block", budget_px=32
    )))  # fmt: skip
    assert note.endswith("since budget_lists have the same blocks for them")


def test_a_study_goes_on_with_its_lists_and_with_no_others(make_listed):
    config = make_listed(TABLE)
    data = read(config)
    prepare(config, data)
    prepare(config, data)
    with pytest.raises(DataError, match="must be the budget of these tiles, got another one"):
        prepare(make_listed(TABLE.replace("a1", "a4")), data)
    with pytest.raises(ConfigError, match=r"budget_lists: .* -> None"):
        prepare(dataclasses.replace(config, budget_lists=None), data)


def test_a_study_that_lost_its_budgets_goes_on_with_those_on_record_alone(make_listed):
    """Without their files, other lists were taken in silence."""
    config = make_listed(TABLE)
    data = read(config)
    prepare(config, data)
    shutil.rmtree(config.folder / BUDGETS)
    with pytest.raises(DataError, match="must be the budget on record"):
        prepare(make_listed(TABLE.replace("a1", "a4")), data)
    prepare(make_listed(TABLE), data)
    assert len([*(config.folder / BUDGETS).glob("*.json")]) == 9


def test_a_joined_tile_without_annotations_is_in_no_list(make_listed):
    """Its name is none of those of its images, so that it counted as annotated at 100 %."""
    config = make_listed(TABLE)
    data = dataclasses.replace(read(config), unlabelled=frozenset({"a4"}))
    budgets = draw_budgets(config, data)
    assert [name for name, _, _ in budgets.train[1, 1.0, "random"][0].units] == ["a3", "a1", "a2"]
    with pytest.raises(ConfigError, match=r"got 'a4' in .*; the data set has a1, a2, a3$"):
        draw_budgets(make_listed(TABLE.replace("a1", "a4")), data)


def test_equal_lists_are_said_to_be_equal_and_no_tile_to_be_too_large(make_listed):
    text = "tile,fraction\na3,0.25\na3,0.5\n"
    (note,) = equal_notes(draw(make_listed(text)))
    assert note.endswith("since budget_lists have the same tiles for them")
    with pytest.raises(ConfigError) as caught:
        draw(make_listed(text, space="label_frac=0.25/0.5"))
    assert str(caught.value).endswith(
        "since budget_lists have the same tiles for them; list more tiles for the larger one, or "
        "leave one out of --space"
    )


def test_minutes_of_budgets_by_hand_and_with_every_trial(make_config, monkeypatch):
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(
        space="label_frac=0.25/1", budget_unit="tile", seeds=1, downsample=2, cpus=0.5,
        cost={"per_px": 0.001, "per_object": 0.5, "per_border_m": 0.02, "per_tile": 3},
    )  # fmt: skip
    data = read(config)
    data = dataclasses.replace(data, spec=dataclasses.replace(data.spec, gsd_m=0.1))
    budgets = prepare(config, data)
    # 40 x 48 px in 4 x 4 squares in each tile, none beside one of its class; pixels of 0.2 m.
    tile = 1.920 + 0.5 * 16 + 0.02 * (3 * 40 + 3 * 48) * 0.2 + 3
    assert budgets.minutes[1, 0.25, "random"] == pytest.approx(tile)
    assert budgets.minutes[1, 1.0, "random"] == pytest.approx(4 * tile)
    assert [line.rpartition(", ")[2] for line in share_lines(config, budgets)[1:]] == [
        "14 minutes of annotation", "55.9 minutes of annotation",
    ]  # fmt: skip
    recorded = yaml.safe_load((config.folder / MANIFEST).read_text())["budgets"]
    assert [one["minutes"] for one in recorded] == [*budgets.minutes.values()]
    tasks = TaskBuilder(config, data, budgets, find_slots(config))
    for arm in plan_arms(config):
        task = tasks.build(confirm_trial(config, arm, 1, {}))
        assert task.annotation_minutes == budgets.minutes[1, arm.label_frac, "random"]
    dearer = dataclasses.replace(config, cost={"per_tile": 4})
    with pytest.raises(ConfigError, match=r"cost: .* -> "):
        prepare(dearer, data)


def test_a_study_without_prices_says_nothing_of_minutes(make_config):
    config = make_config(space="label_frac=0.25/1")
    budgets = draw(config)
    assert budgets.minutes == {}
    assert not any("minutes" in line for line in share_lines(config, budgets))


def test_borders_have_no_price_where_pixels_have_no_size(make_config):
    config = make_config(space="label_frac=0.25/1", cost={"per_border_m": 0.1})
    with pytest.raises(ConfigError, match=r"per_border_m of cost must be left out .* no gsd_m"):
        draw(config)
    free = make_config(space="label_frac=0.25/1", cost={"per_border_m": 0, "per_tile": 1})
    assert draw(free).minutes


def test_validation_without_a_class_that_counts_is_refused_before_any_trial(make_config):
    config = make_config(space="label_frac=0.5", val_frac=0.05, seeds=1)
    data = read(config)
    spec = dataclasses.replace(data.spec, exclude_from_mean=("land", "water", "wood"))
    with pytest.raises(DataError, match=r"--val-frac must give .* alone with seed 0 at 0\.05"):
        draw_budgets(config, dataclasses.replace(data, spec=spec))
