"""Published lists of tiles: the study uses exactly these, or says in one line why not."""

import re
from dataclasses import replace

import pytest
import yaml

from contract.names import MANIFEST
from study.design.budgets import draw_budgets
from study.design.preflight import find_dataset, read_data
from study.design.preparation import prepare
from trainables.data.budgets.annotation import Budget, annotated_pixels
from trainables.errors import ConfigError, DataError

SPACE = "label_frac=0.25/0.5/1"


@pytest.fixture
def listed(make_config, tmp_path):
    """Makes a study with lists of this text; a mapping of texts for a file for each fraction."""

    def make(text, **options):
        given = {"space": SPACE, "budget_unit": "tile", "seeds": 2, **options}
        if isinstance(text, dict):
            files = {}
            for fraction, names in text.items():
                files[fraction] = str(tmp_path / f"{fraction}.txt")
                (tmp_path / f"{fraction}.txt").write_text(names)
            return make_config(budget_lists=files, **given)
        (tmp_path / "lists.csv").write_text(text)
        return make_config(budget_lists=str(tmp_path / "lists.csv"), **given)

    return make


def _draw(config):
    return draw_budgets(config, read_data(config, find_dataset(config)))


def _names(budgets):
    return {key[:2]: [unit[0] for unit in drawn[0].units] for key, drawn in budgets.train.items()}


TABLE = "tile,fraction\na3,0.25\na1,0.5\na3,0.5\n"


@pytest.mark.parametrize(
    "text",
    [TABLE, {0.25: "a3\n", 0.5: "\na1\na3\n"}, "\ufefffraction, tile\n.25,a3\n0.5,a3\n0.50, a1"],
)
def test_lists_serve_every_seed_and_the_whole_needs_none(listed, text):
    found = _names(_draw(listed(text)))
    assert set(found) == {(seed, frac) for seed in (0, 1, 2) for frac in (0.25, 0.5, 1.0)}
    for seed in (0, 1, 2):
        assert found[seed, 0.25] == ["a3"]
        assert found[seed, 0.5] == ["a3", "a1"]
        assert sorted(found[seed, 1.0]) == ["a1", "a2", "a3", "a4"]


def test_seeds_have_lists_of_their_own(listed):
    rows = [f"a{1 + (seed + place) % 4},{frac},{seed}" for seed in range(3)
            for frac, num in ((0.25, 1), (0.5, 3)) for place in range(num)]  # fmt: skip
    budgets = _draw(listed("tile,fraction,seed\n" + "\n".join(rows)))
    found = _names(budgets)
    assert [found[seed, 0.25] for seed in (0, 1, 2)] == [["a1"], ["a2"], ["a3"]]
    assert found[1, 0.5] == ["a2", "a3", "a4"]
    # The list is named by what its author says; the axis is what its tiles hold.
    assert budgets.reached(0.5) == (0.75, 0.75)
    budget, pixels = budgets.train[1, 0.5, "random"]
    assert budget.listed
    assert not budget.exceeds
    assert budget.num_units == 3
    again = Budget.from_plain(budget.to_plain())
    data = read_data(listed(TABLE), find_dataset(listed(TABLE)))
    assert annotated_pixels(data.tiles["train"], again).checksum == pixels.checksum


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "tile,fraction\na3,0.25\nz9,0.5\na3,0.5\nb1,0.5",
            r"training tiles with labels, got 'b1', 'z9'",
        ),
        ("tile,fraction\na3,0.25\n", r"got none for label_frac 0\.5 with seed 0"),
        ("tile,fraction\na3,0.25\na1,0.5\na2,0.5", r"must be nested, got 'a3' .* label_frac 0\.5"),
        ("tile,fraction\na3,0.25\na3,0.25\na3,0.5", r"named once, got 'a3' twice"),
        (TABLE.replace("0.25", "25 %"), r"a number in \(0, 1\], got '25 %' .*line 2"),
        ("tile,fraction,seed\na3,0.25,x\n", r"whole number from 0, got 'x' .*line 2"),
        ("tile,fraction,seed\na3,0.25,0\na3,0.5,0\n", r"got none for label_frac 0\.25 with seed 1"),
        ("name,fraction\na3,0.25\n", r"columns tile, fraction .* got fraction, name"),
        ("", r"columns tile, fraction .* got none"),
        ({0.25: "a3", 0.7: "a3\na1"}, r"got none for label_frac 0\.5 with seed 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_lists_is_one_line(listed, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        _draw(listed(text))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_line(make_config, tmp_path):
    config = make_config(space=SPACE, budget_unit="tile", budget_lists=str(tmp_path / "no.csv"))
    with pytest.raises(ConfigError, match=re.escape("no.csv' (No such file or directory)")):
        _draw(config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget_unit": "block"}, "--budget-unit must be tile with budget_lists"),
        ({"budget_stratified": True}, "must be left out with budget_lists"),
        ({"budget_order": "diverse"}, "must be left out with budget_lists"),
        ({"compare": "budget_order=random/diverse"}, "must be left out with budget_lists"),
    ],
)
def test_what_would_choose_tiles_otherwise_is_refused(listed, options, message):
    with pytest.raises(ConfigError, match=message):
        listed(TABLE, **options)


def test_a_study_goes_on_with_its_lists_and_with_no_others(listed):
    config = listed(TABLE)
    data = read_data(config, find_dataset(config))
    prepare(config, data)
    assert yaml.safe_load((config.folder / MANIFEST).read_text())["config"]["budget_lists"]
    prepare(config, data)
    with pytest.raises(DataError, match="must be the budget of these tiles, got another one"):
        prepare(listed(TABLE.replace("a1", "a2")), data)
    with pytest.raises(ConfigError, match=r"budget_lists: .* -> None"):
        prepare(replace(config, budget_lists=None), data)
