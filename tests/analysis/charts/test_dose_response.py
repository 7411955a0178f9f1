"""What a dose-response curve shows, and that it can be drawn."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.charts.chart import write_chart
from analysis.charts.dose_response import _chart, _spaced, dose_panels, draw_dose_response
from analysis.charts.inline import page_chart
from analysis.page.html_page import environment
from analysis.reading.compared import StudyParameter, known_parameter
from analysis.reading.styles import Styles, styles_of
from analysis.statistics.intervals import t_interval
from contract.methods import METHODS
from contract.space import parse_compare
from contract.variants import make_variants

W1 = known_parameter("w1", role="compared")


def styles(compare: str = "w1=0/0.05/0.1/0.3") -> Styles:
    return styles_of(make_variants([METHODS["urec"], METHODS["unet"]], parse_compare(compare)))


def scores_of(shown: Styles, fracs: tuple[float, ...] = (0.1,), num: int = 4) -> pd.DataFrame:
    generator = np.random.default_rng(3)
    rows = [
        {"variant": variant, "label_frac": frac, "mean_f1": generator.normal(0.6, 0.02)}
        for frac in fracs
        for variant in shown
        for _ in range(num)
    ]
    return pd.DataFrame(rows)


def test_doses_stand_by_level_with_their_intervals_and_the_baseline_is_a_band() -> None:
    shown = styles()
    scores = scores_of(shown)
    (panel,) = dose_panels(scores, W1, "mean_f1", shown)
    (curve,) = panel.curves
    assert [dose.level for dose in curve] == [0.0, 0.05, 0.1, 0.3]
    for dose in curve:
        own = scores.loc[scores["variant"] == dose.variant, "mean_f1"]
        assert dose.interval == t_interval(own)
        assert list(dose.scores) == own.tolist()
    ((name, band),) = panel.baselines
    assert shown[name].is_baseline
    assert band == t_interval(scores.loc[scores["variant"] == name, "mean_f1"])


def test_zero_stands_left_of_a_break_of_the_logarithmic_axis() -> None:
    shown = styles()
    (panel,) = dose_panels(scores_of(shown), W1, "mean_f1", shown)
    places = [place for place, _ in panel.ticks]
    assert places[1:] == pytest.approx([math.log10(level) for level in (0.05, 0.1, 0.3)])
    assert places[0] == pytest.approx(math.log10(0.05) - math.log10(2))
    assert panel.broken_at is not None
    assert places[0] < panel.broken_at < places[1]
    shown = styles("w1=0.05/0.1/0.3")
    (panel,) = dose_panels(scores_of(shown), W1, "mean_f1", shown)
    assert panel.broken_at is None


def test_a_linear_parameter_of_every_method_gives_a_curve_each_and_no_band() -> None:
    shown = styles("ema_decay=0/0.5/0.9")
    parameter = known_parameter("ema_decay", role="compared")
    (panel,) = dose_panels(scores_of(shown), parameter, "mean_f1", shown)
    assert len(panel.curves) == 2
    assert panel.baselines == ()
    assert panel.broken_at is None
    assert [place for place, _ in panel.ticks] == [0.0, 0.5, 0.9]


def test_what_else_is_compared_makes_curves_of_their_own() -> None:
    shown = styles("w1=0/0.1,reconstruct_on=all/annotated")
    (panel,) = dose_panels(scores_of(shown), W1, "mean_f1", shown)
    assert [len(curve) for curve in panel.curves] == [2, 2]
    kinds = [{shown[d.variant].variant.levels["reconstruct_on"] for d in c} for c in panel.curves]
    assert sorted(map(len, kinds)) == [1, 1]


def test_levels_without_scores_are_left_out_and_one_level_is_no_curve() -> None:
    shown = styles()
    scores = scores_of(shown)
    of_curve = [name for name, one in shown.items() if one.variant.levels]
    scores.loc[scores["variant"] == of_curve[1], "mean_f1"] = math.nan
    (panel,) = dose_panels(scores, W1, "mean_f1", shown)
    assert [dose.level for dose in panel.curves[0]] == [0.0, 0.1, 0.3]
    scores = scores[scores["variant"].isin([of_curve[0], "unet"])]
    assert dose_panels(scores, W1, "mean_f1", shown) == ()
    assert dose_panels(scores.iloc[:0], W1, "mean_f1", shown) == ()


def test_a_fraction_without_a_dose_has_no_panel() -> None:
    shown = styles()
    scores = scores_of(shown, (0.1, 1.0))
    is_dosed = scores["variant"].map(lambda name: bool(shown[name].variant.levels))
    panels = dose_panels(scores[~is_dosed | (scores["label_frac"] < 1)], W1, "mean_f1", shown)
    assert [panel.label_frac for panel in panels] == [0.1]


@pytest.mark.parametrize("num", [1, 5])
def test_every_mark_lies_inside_its_panel_and_ticks_name_the_levels(num: int) -> None:
    shown = styles()
    (panel,) = dose_panels(scores_of(shown, num=num), W1, "mean_f1", shown)
    axes = Figure().add_subplot()
    draw_dose_response(panel, axes)
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    for dose in panel.curves[0]:
        assert left < dose.place < right
        assert all(low < score < high for score in dose.scores)
        assert not dose.interval.is_known or low < dose.interval.low < dose.interval.high < high
    formatter = axes.xaxis.get_major_formatter()
    assert formatter.format_ticks(axes.get_xticks()) == ["0", "0.05", "0.1", "0.3"]  # type: ignore[arg-type]


def test_close_levels_share_the_room_of_their_labels() -> None:
    assert _spaced([0.0, 1.0, 1.02, 2.0]) == [0, 1, 3]
    assert _spaced([0.0, 1.0]) == [0, 1]
    assert _spaced([0.0, 1.99, 2.0]) == [0, 2]


def test_seven_fractions_are_one_figure(tmp_path: Path) -> None:
    shown = styles()
    fracs = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
    panels = dose_panels(scores_of(shown, fracs), W1, "mean_f1", shown)
    chart = _chart(panels)
    assert (chart.name, len(chart.panels), chart.num_columns) == ("dose_response_w1", 7, 4)
    assert len(chart.data) == 7 * len(shown)
    assert set(chart.styles) == set(shown)
    assert "0 has no place" in chart.note
    assert all(path.stat().st_size for path in write_chart(chart, tmp_path))


def test_four_fractions_were_three_panels_and_a_lonely_one(tmp_path: Path) -> None:
    shown = styles()
    chart = _chart(dose_panels(scores_of(shown, (0.02, 0.1, 0.5, 1.0)), W1, "mean_f1", shown))
    assert chart.num_columns == 2
    page = page_chart(chart, write_chart(chart, tmp_path))
    assert (len(page.panels), page.num_columns) == (4, 2)
    figure = environment(shown).from_string(
        '{% from "_macros.html" import chart_figure with context %}{{ chart_figure(chart) }}'
    )
    assert "--columns:2" in figure.render(chart=page)


def test_a_parameter_that_nobody_knows_has_a_curve() -> None:
    """Of a method of one's own, in a record that describes it."""
    shown = styles()
    parameter = StudyParameter(name="w1", label="my weight", log=False, role="compared")
    (panel,) = dose_panels(scores_of(shown), parameter, "mean_f1", shown)
    assert [place for place, _ in panel.ticks] == [0.0, 0.05, 0.1, 0.3]


def test_the_page_shows_the_curve_below_the_label_scarcity(tmp_path: Path) -> None:
    shown = styles()
    chart = _chart(dose_panels(scores_of(shown), W1, "mean_f1", shown))
    charts = {chart.name: page_chart(chart, write_chart(chart, tmp_path))}
    template = environment(shown).from_string('{% include "sections/answer.html" %}')
    html = template.render(charts=charts, differences=(), answer=SimpleNamespace(measure="mean_f1"))
    assert ">Test mean F1 over w<sub>1</sub></span></h2>" in html
    assert '<figure id="dose_response_w1" class="chart">' in html
