import io
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from analysis.charts.chart import Chart, write_chart
from analysis.charts.inline import page_chart
from analysis.reading.compared import known_parameter, tried_variants
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.styles import styles_of
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.search.domains import Domain, Level
from analysis.search.isolation import (
    _tick_labels,
    bucket_edges,
    draw_isolation,
    isolation_charts,
    isolation_infos,
)
from analysis.search.suggestions import suggestions

STYLES = styles_of(
    tried_variants(
        [("unet", "unet"), ("urec", "urec"), ("urec-all", "urec"), ("urec-annotated", "urec")]
    )
)

RANGE = Domain(parameter=known_parameter("lr"), low=1e-4, high=1e-2)


def panels(chart: Chart) -> tuple[str, ...]:
    """The elements of the page."""
    with TemporaryDirectory() as folder:
        return page_chart(chart, write_chart(chart, Path(folder))).panels


def record_of(space: str, *trials: tuple[str, float, float, float, float]) -> StudyRecord:
    """Finished search trials (variant, label_frac, w1, lr, mean F1)."""
    columns = ["variant", "label_frac", "w1", "lr", "select_mean_f1"]
    frame = pd.DataFrame(trials, columns=columns).reindex(columns=list(TRIAL_COLUMNS))
    frame["model"] = frame["variant"].str.partition("-")[0]
    frame["phase"], frame["status"] = "search", "finished"
    frame["number"] = range(len(trials))
    frame["trial_key"] = [f"search-t{i:03d}" for i in range(len(trials))]
    return StudyRecord(
        info=StudyInfo(name="demo", status="finished", document={"config": {"space": space}}),
        trials=frame,
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )


def drawn(num: int, seed: int = 0) -> list[tuple[str, float, float, float, float]]:
    """Both models with the same learning rates at two fractions."""
    generator = np.random.default_rng(seed)
    rows = []
    for frac in (0.02, 1.0):
        for _ in range(num):
            w1, lr = 0.01 * 50 ** generator.uniform(), 1e-4 * 100 ** generator.uniform()
            rows.append(("urec", frac, w1, lr, generator.uniform(0.4, 0.6)))
            rows.append(("unet", frac, math.nan, lr, generator.uniform(0.4, 0.6)))
    return rows


def test_best_of_each_stretch_by_hand() -> None:
    lrs = (1e-4, 1.5e-4, 1e-3, 1e-2)
    rows = [("unet", 1.0, math.nan, lr, s) for lr, s in zip(lrs, (0.5, 0.6, 0.4, 0.7), strict=True)]
    (info,) = isolation_infos(suggestions(record_of("lr", *rows)), RANGE, "mean_f1", STYLES)
    (arm,) = info.arms
    np.testing.assert_allclose(info.edges, 1e-4 * 100 ** (np.arange(6) / 5))
    np.testing.assert_allclose(arm.best, [0.6, np.nan, 0.4, np.nan, 0.7])
    np.testing.assert_array_equal(arm.number, [3, 1, 0, 2])  # best first: the chosen one
    np.testing.assert_array_equal(arm.bucket, [4, 0, 0, 2])


def test_value_on_an_edge_belongs_to_the_stretch_above_it() -> None:
    edge = float(bucket_edges(RANGE, 1)[2])
    rows = [("unet", 1.0, math.nan, lr, 0.5) for lr in (1e-4, edge, 1e-2)]
    (info,) = isolation_infos(suggestions(record_of("lr", *rows)), RANGE, "mean_f1", STYLES)
    np.testing.assert_array_equal(info.arms[0].bucket, [0, 2, 4])


def test_stretches_agree_with_pandas() -> None:
    searched = suggestions(record_of("lr", *drawn(40)))
    info = isolation_infos(searched, RANGE, "mean_f1", STYLES)[0]
    rows = searched[(searched["variant"] == "urec") & (searched["label_frac"] == 0.02)]
    cut = pd.cut(rows["lr"], info.edges, labels=False, right=False, include_lowest=True)
    expected = rows.groupby(cut)["select_score"].max()
    found = info.arms[1]
    assert found.variant == "urec"
    np.testing.assert_allclose(found.best[expected.index.to_numpy(int)], expected)
    assert np.isfinite(found.best).sum() == len(expected)


@pytest.mark.parametrize(("num", "buckets"), [(1, 5), (20, 5), (24, 6), (25, 6), (40, 8), (99, 8)])
def test_number_of_stretches_follows_the_trials(num: int, buckets: int) -> None:
    assert len(bucket_edges(RANGE, num)) == buckets + 1


def test_levels_are_their_own_buckets_and_may_be_zero() -> None:
    rows = [("urec", 1.0, w1, 0.001, s) for w1, s in ((0.0, 0.3), (0.5, 0.5), (0.0, 0.4))]
    domain = Domain(parameter=known_parameter("w1"), levels=(0.0, 0.1, 0.5))
    (info,) = isolation_infos(suggestions(record_of("w1", *rows)), domain, "mean_f1", STYLES)
    assert len(info.edges) == 0
    np.testing.assert_allclose(info.arms[0].best, [0.4, np.nan, 0.5])
    (chart,) = isolation_charts(record_of("w1=0/0.1/0.5,label_frac=1", *rows))
    (svg,) = panels(chart)
    assert [f">{level}<" in svg for level in ("0", "0.1", "0.5")] == [True] * 3
    assert "log scale" not in svg
    assert "best of each level" in chart.note


def test_one_chart_per_hyperparameter_and_no_w1_for_unet() -> None:
    space = "w1=0.01..0.5,lr=0.0001..0.01,label_frac=0.02/1"
    w1, lr = isolation_charts(record_of(space, *drawn(10)))
    assert (w1.name, tuple(w1.styles)) == ("isolation_w1", ("urec",))
    assert (lr.name, tuple(lr.styles)) == ("isolation_lr", ("unet", "urec"))
    assert len(w1.panels) == len(lr.panels) == 2
    svg = panels(w1)[0]
    assert "var(--variant-1)" in svg
    assert "var(--variant-0)" not in svg
    assert "w\N{SUBSCRIPT ONE} (log scale)" in svg
    assert "#000000" not in svg


def test_csv_names_the_chosen_trial_of_each_arm() -> None:
    rows = drawn(10)
    _, chart = isolation_charts(record_of("w1=0.01..0.5,lr=0.0001..0.01", *rows))
    frame = pd.read_csv(io.StringIO(chart.csv))
    assert len(frame) == len(rows)
    chosen = frame[frame["is_chosen"]]
    assert len(chosen) == 4
    best = frame.groupby(["model", "label_frac"])["score"].max()
    assert sorted(chosen["score"]) == sorted(best)
    assert (frame["score"] <= frame["bucket_best"]).all()
    inside = frame["value"].between(frame["bucket_low"] * 0.999, frame["bucket_high"] * 1.001)
    assert inside.all()


def test_pruned_trials_are_left_out() -> None:
    record = record_of("lr=0.0001..0.01", *drawn(3), ("unet", 1.0, math.nan, 0.001, 0.99))
    record.trials.loc[len(record.trials) - 1, "status"] = "pruned"
    (chart,) = isolation_charts(record)
    assert chart.data["score"].max() < 0.99
    assert len(chart.data) == 12


def test_range_that_is_not_known_is_that_of_the_values() -> None:
    (chart,) = isolation_charts(record_of("lr,label_frac=0.02/1", *drawn(6)))
    lrs = [row[3] for row in drawn(6)]
    assert chart.data["bucket_low"].min() >= min(lrs) * 0.999
    assert panels(chart)[0].count("<svg") == 1


def test_one_trial_can_be_drawn() -> None:
    from matplotlib.figure import Figure

    searched = suggestions(record_of("lr", ("unet", 1.0, math.nan, 1e-3, 0.5)))
    for domain in (
        RANGE,
        Domain(parameter=known_parameter("lr")),
        Domain(parameter=known_parameter("lr"), levels=(1e-3,)),
    ):
        (info,) = isolation_infos(searched, domain, "mean_f1", STYLES)
        axes = Figure().subplots()
        draw_isolation(info, axes)
        assert axes.get_title(loc="left") == "100\N{NO-BREAK SPACE}% of the labels"


def test_nothing_searched_or_finished_gives_no_chart(store: str) -> None:
    for name in ("full", "empty", "one-seed", "stopped", "broken", "absent-class"):
        assert isolation_charts(load_study(name, store)) == ()
    record = record_of("lr=0.0001..0.01", ("unet", 1.0, math.nan, 1e-3, 0.5))
    record.trials["status"] = "failed"
    assert isolation_charts(record) == ()


@pytest.mark.parametrize(
    ("levels", "labels"),
    [
        ([1e-4, 3e-4, 1e-3, 3e-3, 1e-2], ["1e-4", "3e-4", "0.001", "0.003", "0.01"]),
        ([64.0, 128.0, 256.0], ["64", "128", "256"]),
        (["convolution", "self-attention", "self-attention-windowed", "mlp"],
         ["con…ion", "sel…ion", "sel…wed", "mlp"]),
        (["no", "yes"], ["no", "yes"]),
    ],
)  # fmt: skip
def test_two_levels_never_have_the_same_tick_label(levels: list[Level], labels: list[str]) -> None:
    assert _tick_labels(levels) == labels
