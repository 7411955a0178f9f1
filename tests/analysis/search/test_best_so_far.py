import io
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from analysis.charts.chart import Chart, panel_columns, write_chart
from analysis.charts.inline import page_chart
from analysis.reading.compared import tried_variants
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.styles import styles_of
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.search.best_so_far import (
    best_so_far_chart,
    best_so_far_info,
    draw_best_so_far,
    score_limits,
)
from analysis.search.suggestions import suggestions

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)


def panels(chart: Chart) -> tuple[str, ...]:
    """The elements of the page."""
    with TemporaryDirectory() as folder:
        return page_chart(chart, write_chart(chart, Path(folder))).panels


def record_of(*trials: tuple[str, float, int, str, float]) -> StudyRecord:
    """Search trials (variant, label_frac, number, status, mean F1)."""
    columns = ["variant", "label_frac", "number", "status", "select_mean_f1"]
    frame = pd.DataFrame(trials, columns=columns).reindex(columns=list(TRIAL_COLUMNS))
    frame["model"] = frame["variant"].str.partition("-")[0]
    frame["phase"] = "search"
    frame["trial_key"] = [f"search-{t[0]}-f{t[1]:.2f}-t{t[2]:03d}" for t in trials]
    return StudyRecord(
        info=StudyInfo(name="demo", status="finished"),
        trials=frame,
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )


ARM = [
    ("urec", 0.1, 3, "finished", 0.7),
    ("urec", 0.1, 0, "finished", 0.5),
    ("urec", 0.1, 1, "finished", 0.4),
    ("urec", 0.1, 2, "pruned", 0.99),
    ("urec", 0.1, 4, "failed", math.nan),
    ("urec", 0.1, 5, "running", math.nan),
]


def test_best_runs_over_finished_trials_in_their_order() -> None:
    info = best_so_far_info(suggestions(record_of(*ARM)), 0.1, "mean_f1", STYLES)
    (curve,) = info.curves
    np.testing.assert_array_equal(curve.number, [0, 1, 3])
    np.testing.assert_array_equal(curve.score, [0.5, 0.4, 0.7])
    np.testing.assert_array_equal(curve.best, [0.5, 0.5, 0.7])
    np.testing.assert_array_equal(curve.pruned, [2])
    assert curve.last == 4


def test_best_agrees_with_the_maximum_of_every_prefix() -> None:
    scores = np.random.default_rng(5).uniform(size=40)
    rows = [("unet", 1.0, i, "finished", float(s)) for i, s in enumerate(scores)]
    (curve,) = best_so_far_info(suggestions(record_of(*rows)), 1.0, "mean_f1", STYLES).curves
    assert curve.best.tolist() == [max(scores[: i + 1]) for i in range(40)]


def test_csv_holds_finished_scores_and_no_score_of_a_pruned_trial() -> None:
    chart = best_so_far_chart(record_of(*ARM))
    assert chart is not None
    frame = pd.read_csv(io.StringIO(chart.csv))
    assert frame["number"].tolist() == [0, 1, 3, 2]
    assert frame["status"].tolist() == ["finished"] * 3 + ["pruned"]
    assert frame["best_so_far"].tolist()[:3] == [0.5, 0.5, 0.7]
    assert frame["score"].isna().tolist() == [False] * 3 + [True]
    assert "pruned trials" in chart.note


def test_one_panel_per_fraction_in_the_colours_of_the_models() -> None:
    rows = [
        (variant, frac, number, "finished", 0.5 + number / 10)
        for variant in ("urec", "unet")
        for frac in (1.0, 0.02)
        for number in range(3)
    ]
    chart = best_so_far_chart(record_of(*rows))
    assert chart is not None
    assert tuple(chart.styles) == ("unet", "urec")
    assert "pruned" not in chart.note
    first, second = panels(chart)
    assert ">2\N{NO-BREAK SPACE}% of the labels<" in first
    assert ">100\N{NO-BREAK SPACE}% of the labels<" in second
    for style in chart.styles.values():
        assert f"var(--{style.key})" in first
    assert "#000000" not in first


def test_pruned_trials_stand_at_the_foot_whatever_their_score() -> None:
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    draw_best_so_far(best_so_far_info(suggestions(record_of(*ARM)), 0.1, "mean_f1", STYLES), axes)
    low, high = axes.get_ylim()
    assert low < 0.4 < 0.7 < high < 0.99
    drawn = [line.get_ydata() for line in axes.lines if line.get_marker() == "|"]
    np.testing.assert_allclose(drawn, [[0.025]])


def test_nothing_to_compare_gives_no_chart(store: str) -> None:
    for name in ("full", "empty", "one-seed", "searching", "absent-class", "broken"):
        assert best_so_far_chart(load_study(name, store)) is None
    assert best_so_far_chart(record_of(("urec", 0.1, 0, "failed", math.nan))) is None


def test_fraction_of_which_no_trial_has_finished_has_no_panel(store: str) -> None:
    rows = [*ARM, ("urec", 1.0, 0, "failed", math.nan), ("unet", 0.1, 0, "finished", 0.5)]
    chart = best_so_far_chart(record_of(*rows))
    assert chart is not None
    assert len(chart.panels) == 1
    variants = best_so_far_chart(load_study("variants", store))
    assert variants is not None
    assert len(panels(variants)) == 3


@pytest.mark.parametrize("scores", [[], [0.5], [0.5, 0.501], [0.0, 1.0], [0.0], [1.0]])
def test_limits_hold_every_score_and_never_magnify_noise(scores: list[float]) -> None:
    low, high = score_limits(scores)
    assert high - low >= 0.03
    assert all(low < score < high for score in scores)
    if scores == [0.5, 0.501]:
        assert high - low >= 0.05


def test_columns_leave_no_lonely_panel() -> None:
    """Four were three and one on the page, which has room for three."""
    assert [panel_columns(n) for n in (1, 2, 3, 4, 5, 6, 7, 9)] == [1, 2, 3, 2, 3, 3, 4, 3]


def test_panels_told_what_was_asked_for_where_all_else_tells_what_was_reached() -> None:
    record = record_of(*ARM)
    record.trials["reached_frac"], record.trials["seed"] = 0.0836, 0
    chart = best_so_far_chart(record)
    assert chart is not None
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    chart.panels[0](axes)
    assert axes.get_title(loc="left") == "8.36\N{NO-BREAK SPACE}% of the labels"
