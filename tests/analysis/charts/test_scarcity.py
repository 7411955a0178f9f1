import re
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from analysis.charts.chart import write_chart
from analysis.charts.inline import page_chart
from analysis.charts.scarcity import (
    draw_label_scarcity,
    label_scarcity_chart,
    label_scarcity_info,
    label_scarcity_rows,
)
from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import styles_of
from analysis.statistics.intervals import t_interval
from analysis.statistics.scores import score_trials

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)


def scores(*rows: tuple[str, float, int, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["variant", "label_frac", "seed", "mean_f1"])
    return frame.assign(oa=frame["mean_f1"])


def panels(frame: pd.DataFrame) -> tuple[str, ...]:
    """The elements of the page."""
    chart = label_scarcity_chart(frame, STYLES)
    with TemporaryDirectory() as folder:
        return page_chart(chart, write_chart(chart, Path(folder))).panels


def test_curves_hold_means_intervals_and_every_seed(store: str) -> None:
    frame = score_trials(load_study("full", store))
    info = label_scarcity_info(frame, "mean_f1", STYLES)
    assert [curve.variant for curve in info.curves] == ["unet", "urec"]
    urec = info.curves[1]
    np.testing.assert_array_equal(urec.label_frac, [0.02, 1.0])
    assert len(urec.seed_score) == 6
    first = frame[(frame["variant"] == "urec") & (frame["label_frac"] == 0.02)]["mean_f1"]
    interval = t_interval(first)
    assert (urec.mean[0], urec.low[0], urec.high[0]) == pytest.approx(
        (interval.mean, interval.low, interval.high)
    )
    assert "t-based 95\N{NO-BREAK SPACE}% interval" in info.note


def test_too_few_seeds_have_points_and_a_reason_but_no_band() -> None:
    info = label_scarcity_info(
        scores(("unet", 0.1, 0, 0.5), ("unet", 0.1, 1, 0.6)), "mean_f1", STYLES
    )
    assert np.isnan(info.curves[0].low).all()
    assert "they need 3 seeds" in info.note


def test_fraction_short_of_seeds_is_named() -> None:
    rows = [("unet", 0.1, s, 0.5 + s / 100) for s in range(3)] + [("unet", 1.0, 0, 0.6)]
    info = label_scarcity_info(scores(*rows), "mean_f1", STYLES)
    assert "At 100\N{NO-BREAK SPACE}% a model has fewer than 3 seeds" in info.note


def test_labels_of_close_fractions_do_not_collide() -> None:
    rows = [("unet", frac, 0, 0.5) for frac in (0.01, 0.9, 0.95, 1.0)]
    assert label_scarcity_info(scores(*rows), "mean_f1", STYLES).ticks == (0.01, 1.0)


def test_nan_scores_are_not_drawn() -> None:
    frame = scores(("unet", 0.1, 0, float("nan")), ("urec", 0.1, 0, 0.5))
    assert [c.variant for c in label_scarcity_info(frame, "mean_f1", STYLES).curves] == ["urec"]


def test_panel_wears_the_models_colours_and_percent_labels(store: str) -> None:
    svg = panels(score_trials(load_study("full", store)))[1]
    for variant in ("unet", "urec"):
        assert f"var(--{STYLES[variant].key})" in svg
    assert re.findall(r">([\d.]+)\xa0%<", svg) == ["1.98", "100"]  # what was reached of 2 and 100


def test_score_axis_never_magnifies_noise() -> None:
    from matplotlib.figure import Figure

    for score in (0.0, 0.5, 1.0):
        axes = Figure().subplots()
        rows = [("unet", 0.1, 0, score), ("urec", 0.1, 0, score - 0.001 if score else 0.001)]
        draw_label_scarcity(label_scarcity_info(scores(*rows), "mean_f1", STYLES), axes)
        low, high = axes.get_ylim()
        assert high - low == pytest.approx(0.1)
        assert 0.0 <= low <= score <= high <= 1.0


@pytest.mark.parametrize("fracs", [(0.01, 1.0), (0.1,)])
def test_points_of_many_variants_stay_in_the_panel(fracs: tuple[float, ...]) -> None:
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

    names = [f"variant{i}" for i in range(9)]
    styles = styles_of(tried_variants([(name, name) for name in names]))
    rows = [(name, frac, seed, 0.5) for name in names for frac in fracs for seed in range(3)]
    axes = Figure().subplots()
    draw_label_scarcity(label_scarcity_info(scores(*rows), "mean_f1", styles), axes)
    low, high = axes.get_xlim()
    points = [one for one in axes.collections if isinstance(one, PathCollection)]
    drawn = np.concatenate([one.get_offsets()[:, 0] for one in points])
    assert len(drawn) == len(rows)
    assert low < drawn.min() < drawn.max() < high


def test_one_fraction_of_one_model_can_be_drawn() -> None:
    rows = [("urec", 0.1, s, 0.5 + s / 50) for s in range(3)]
    assert "<svg" in panels(scores(*rows))[0]


def test_every_variant_has_its_curve(store: str) -> None:
    frame = score_trials(load_study("variants", store))
    info = label_scarcity_info(frame, "mean_f1", STYLES)
    curves = {curve.variant: curve for curve in info.curves}
    assert list(curves) == ["unet", "urec-all", "urec-annotated"]
    np.testing.assert_array_equal(curves["urec-all"].label_frac, [0.02, 0.1, 1.0])
    np.testing.assert_array_equal(curves["urec-annotated"].label_frac, [0.02])
    svg = panels(frame)[0]
    assert all(f"var(--{STYLES[variant].key})" in svg for variant in curves)


def test_blocks_at_1_percent_are_drawn_at_what_they_reached(store: str) -> None:
    """They reached 0.53 to 1.00 %, each seed something else, and were drawn at 1 %."""
    frame = score_trials(load_study("validated", store))
    info = label_scarcity_info(frame, "mean_f1", STYLES)
    reached = (0.0053 + 0.0070 + 0.0100) / 3, 0.09, 1.0
    for curve in info.curves:
        np.testing.assert_allclose(curve.reached, reached)
        assert curve.label_frac.tolist() == [0.01, 0.1, 1.0]
        assert sorted(curve.seed_frac)[:3] == [0.0053, 0.0070, 0.0100]
        assert curve.num_seeds.tolist() == [3, 3, 3]
    np.testing.assert_allclose(info.ticks, reached)
    assert "asked for: 1\N{NO-BREAK SPACE}%, 10\N{NO-BREAK SPACE}% and 100" in info.note
    rows = label_scarcity_rows(info)
    assert rows[0]["label_frac"] == 0.01
    assert rows[0]["reached_frac"] == pytest.approx(reached[0])
    assert rows[0]["with_val_frac"] == pytest.approx((3 * reached[0] + 1) / 4)


def test_the_drawn_curve_passes_through_what_was_reached(store: str) -> None:
    from matplotlib.figure import Figure

    frame = score_trials(load_study("validated", store))
    axes = Figure().subplots()
    draw_label_scarcity(label_scarcity_info(frame, "mean_f1", STYLES), axes)
    for line in axes.get_lines():
        np.testing.assert_allclose(line.get_xdata()[:2], [0.0223 / 3, 0.09])
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert labels == [f"{text}\N{NO-BREAK SPACE}%" for text in ("0.743", "9", "100")]
    assert axes.get_xlim()[0] < 0.0053
