import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.charts.chart import write_chart
from analysis.charts.inline import PageChart, page_chart
from analysis.page.html_page import environment
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.load import load_study
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import TRIAL_COLUMNS
from analysis.search.search_section import search_charts, search_section

SPACE = "w1=0.01..0.5,lr=0.0001..0.01,label_frac=0.01/0.1/1"
STUDIES = (
    "full", "variants", "stopped", "searching", "one-seed", "empty", "one-model", "broken",
    "absent-class", "twice",
)  # fmt: skip


def record_of(
    optima: dict[float, float], num: int = 24, noise: float = 0.0, weight: float = 0.2
) -> StudyRecord:
    """Both models; the score of U-REC peaks at a w1 of its own at each fraction."""
    generator = np.random.default_rng(6)
    parts = []
    for frac, optimum in optima.items():
        for variant in ("unet", "urec"):
            w1 = 0.01 * 50 ** generator.uniform(size=num)
            lr = 1e-4 * 100 ** generator.uniform(size=num)
            score = 0.7 - 0.1 * np.log10(lr / 1e-3) ** 2 + generator.normal(0.0, noise, num)
            if variant == "urec":
                score -= weight * np.log10(w1 / optimum) ** 2
            part = pd.DataFrame({"w1": w1 if variant == "urec" else math.nan, "lr": lr})
            part = part.assign(select_mean_f1=score, variant=variant, label_frac=frac)
            part["number"] = range(num)
            part["trial_key"] = [f"search-{variant}-f{frac:.2f}-t{i:03d}" for i in range(num)]
            parts.append(part)
    frame = pd.concat(parts, ignore_index=True).reindex(columns=list(TRIAL_COLUMNS))
    frame["model"] = frame["variant"].str.partition("-")[0]
    frame["phase"], frame["status"] = "search", "finished"
    return StudyRecord(
        info=StudyInfo(name="demo", status="finished", document={"config": {"space": SPACE}}),
        trials=frame,
        confusions={},
        failures={},
        notes=(),
        tracking_uri="",
    )


def rendered(record: StudyRecord, folder: Path) -> str:
    """The section as the page includes it."""
    charts: dict[str, PageChart] = {}
    for chart in search_charts(record):
        charts[chart.name] = page_chart(chart, write_chart(chart, folder))
    page = environment(record.styles).from_string('{% include "sections/search.html" %}')
    return page.render(search=search_section(record), charts=charts, info=record.info)


@pytest.fixture
def _without_importances(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of the time, and say nothing in the heading."""
    monkeypatch.setattr("analysis.search.search_section.arm_importances", lambda record: ())


@pytest.mark.usefixtures("_without_importances")
def test_heading_states_a_trend_that_the_trials_bear_out() -> None:
    heading = search_section(record_of({0.01: 0.3, 0.1: 0.1, 1.0: 0.03})).heading
    assert heading.startswith("The best w1 falls from 0.")
    assert heading.endswith("at 100\N{NO-BREAK SPACE}%")
    rises = search_section(record_of({0.01: 0.03, 0.1: 0.1, 1.0: 0.3})).heading
    assert "rises" in rises


@pytest.mark.parametrize(
    "record",
    [
        record_of({0.01: 0.03, 0.1: 0.01, 1.0: 0.4}, weight=20),  # down, then up
        record_of({0.01: 0.3, 1.0: 0.03}),  # two fractions
        record_of({0.01: 0.11, 0.1: 0.1, 1.0: 0.09}),  # hardly anything
        record_of({0.01: 0.11, 0.1: 0.07, 1.0: 0.039}, num=60, weight=20),  # less than 3 times
        record_of({0.01: 0.3, 0.1: 0.1, 1.0: 0.03}, num=8),  # few trials
        record_of({0.01: 0.3, 0.1: 0.1, 1.0: 0.03}, noise=1.0),  # noise
    ],
)
@pytest.mark.usefixtures("_without_importances")
def test_heading_without_a_trend_counts_the_trials(record: StudyRecord) -> None:
    num = record.trials["number"].max() + 1
    arms = 2 * record.trials["label_frac"].nunique()
    assert search_section(record).heading == f"{num} trials in each of {arms} arms"


def test_section_holds_table_importances_and_files() -> None:
    section = search_section(record_of({0.01: 0.3, 0.1: 0.1, 1.0: 0.03}))
    assert len(section.rows) == 6
    assert section.parameters == ("w1", "lr")
    assert [file.file_name for file in section.table_downloads] == ["search.csv"]
    assert [file.file_name for file in section.importance_downloads] == ["importances.csv"]
    assert len(section.unsaid) == 1  # U-Net has lr alone


def test_charts_come_in_the_order_of_the_page() -> None:
    charts = search_charts(record_of({0.01: 0.3, 1.0: 0.03}, num=3))
    assert [chart.name for chart in charts] == ["best_so_far", "isolation_w1", "isolation_lr"]


def test_page_shows_every_part(tmp_path: Path) -> None:
    html = rendered(record_of({0.01: 0.5, 0.1: 0.1, 1.0: 0.03}, num=12), tmp_path)
    for name in ("best_so_far", "isolation_w1", "isolation_lr"):
        assert f'<figure id="{name}" class="chart">' in html
    for text in (
        "Search of hyperparameters",
        "How much each hyperparameter mattered",
        "PED-ANOVA",
        "At the border of the search space",
        "the best w<sub>1</sub>, ",
        'download="search.csv"',
        'download="importances.csv"',
        "lr alone was searched",
    ):
        assert text in html
    shown = re.sub(r'href="data:[^"]*"', "", html)
    assert not re.search(r"\bnan\b", shown, re.IGNORECASE)


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_section_or_none(name: str, store: str, tmp_path: Path) -> None:
    record = load_study(name, store)
    section = search_section(record)
    has_search = bool((record.trials["phase"] == "search").any())
    html = rendered(record, tmp_path)
    assert ("<h2 " in html) == bool(section.heading) == has_search
    assert html.count("<figure") == len(search_charts(record))


def test_reading_it_needs_neither_optuna_nor_matplotlib() -> None:
    code = (
        "import sys, analysis.search.search_section; "
        "print({'optuna', 'sklearn', 'matplotlib', 'torch', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
