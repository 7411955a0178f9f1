"""Several studies on one page: their findings, curves and comparisons beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.charts.chart import Chart, write_chart
from analysis.charts.inline import page_chart
from analysis.charts.scarcity import draw_label_scarcity, label_scarcity_info, label_scarcity_rows
from analysis.findings.findings import findings
from analysis.page.html_page import difference_rows, environment, study_facts
from analysis.reading.styles import Styles, styles_of
from analysis.statistics.label_efficiency.shares import distinct_scores
from analysis.statistics.scores import SCORE_LABELS
from analysis.tables.comparison import FOR_READERS, setting_names
from analysis.tables.files.table_files import machine_rows
from analysis.tables.files.table_text import csv_text
from contract.methods import Method
from contract.variants import Variant

if TYPE_CHECKING:
    from analysis.page.study_report import StudyReport


def write_side_by_side(reports: Mapping[str, StudyReport], folder: Path) -> tuple[Path, ...]:
    """Writes comparison.csv, the curves and a page that links to each study's own.

    Args:
        reports: By name of the study, two or more; each has its page in `folder/<name>`.
        folder: Where to write.

    Returns:
        The paths, the page last.
    """
    import pandas as pd

    frames = {name: report.tables.comparison for name, report in reports.items()}
    settings = {setting for frame in frames.values() for setting in setting_names(frame)}
    together = pd.concat(
        [frame.assign(study=name) for name, frame in frames.items()], ignore_index=True
    ).drop(columns=list(FOR_READERS))
    keys = _joint_keys(reports)
    styles = _joint_styles(reports, keys)
    columns = ["study", *(column for column in together.columns if column != "study")]
    csv = folder / "tables" / "comparison.csv"
    csv.parent.mkdir(parents=True, exist_ok=True)
    rows = machine_rows(together[columns], settings=settings)
    csv.write_text(csv_text(rows), encoding="utf-8", newline="\n")
    files = [csv]
    charts = {}
    for chart in _charts(reports, styles, keys):
        written = write_chart(chart, folder / "figures")
        charts[chart.name] = page_chart(chart, written)
        files += written
    html = (
        environment(styles)
        .get_template("side_by_side.html")
        .render(
            studies=[
                {
                    "name": name,
                    "folder": report.folder_name,
                    "facts": study_facts(report.record),
                    "num_warnings": len(report.warnings),
                    "findings": findings(report.answer),
                    "comparison": [
                        row | {"model": keys[name][row["model"]]}
                        for row in report.tables.comparison.to_dict("records")
                    ],
                    "differences": [
                        row | {"pair": tuple(keys[name][one] for one in row["pair"])}
                        for row in difference_rows(report.answer)
                    ],
                    "measure": report.answer.measure,
                    "shares": report.answer.shares,
                }
                for name, report in reports.items()
            ],
            charts=charts,
        )
    )
    index = folder / "index.html"
    folder.mkdir(parents=True, exist_ok=True)
    index.write_text(html, encoding="utf-8", newline="\n")
    return (*files, index)


def _joint_keys(reports: Mapping[str, StudyReport]) -> dict[str, dict[str, str]]:
    """By study, the key of each of its variants on the page.

    It is the variant's name, and another one where an earlier study means something else by it.
    """
    meant: dict[str, tuple[str, bool]] = {}
    keys: dict[str, dict[str, str]] = {}
    for study, report in reports.items():
        keys[study] = {}
        for name, style in report.record.styles.items():
            means = (style.label, style.is_baseline)
            key = name
            while meant.setdefault(key, means) != means:
                key += "'"
            keys[study][name] = key
    return keys


def _joint_styles(
    reports: Mapping[str, StudyReport], keys: Mapping[str, Mapping[str, str]]
) -> Styles:
    """One style for each variant, whichever of the studies have it; baselines first."""
    named: dict[str, Variant] = {}
    methods: dict[str, Method] = {}
    for study, report in reports.items():
        for name, style in report.record.styles.items():
            key = keys[study][name]
            named.setdefault(key, replace(style.variant, name=key))
        methods |= {one.name: one for one in report.record.info.methods}
    ordered = sorted(named.values(), key=lambda one: not one.is_baseline)
    return styles_of(ordered, methods.values())


def _charts(
    reports: Mapping[str, StudyReport], styles: Styles, keys: Mapping[str, Mapping[str, str]]
) -> list[Chart]:
    """The label-scarcity curves, one panel per study."""
    import pandas as pd

    infos = {
        name: label_scarcity_info(
            distinct_scores(report.record, report.scores).replace({"variant": keys[name]}),
            report.answer.measure,
            styles,
        )
        for name, report in reports.items()
        if not report.scores.empty and not report.answer.closed
    }
    if not infos:
        return []
    drawn = {curve.variant for info in infos.values() for curve in info.curves}
    rows = [
        {"study": name} | row for name, info in infos.items() for row in label_scarcity_rows(info)
    ]
    return [
        Chart(
            name="label_scarcity",
            label="Test scores over the share of the labels, one panel per study",
            data=pd.DataFrame(rows),
            panels=tuple(
                partial(
                    draw_label_scarcity, info, title=f"{name}: test {SCORE_LABELS[info.measure]}"
                )
                for name, info in infos.items()
            ),
            styles={name: style for name, style in styles.items() if name in drawn},
            note="Line: mean; points: seeds; band, from 3 seeds on: t-based 95 % interval over "
            "seeds. Each panel has a scale of its own.",
        )
    ]
