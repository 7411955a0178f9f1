"""Several studies on one page: their findings, curves and comparisons beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.charts.chart import Chart, write_chart
from analysis.charts.inline import page_chart
from analysis.charts.scarcity import draw_label_scarcity, label_scarcity_info, label_scarcity_rows
from analysis.findings.findings import findings
from analysis.findings.warnings import warnings
from analysis.page.page import difference_rows, environment, study_facts
from analysis.reading.schema import MODELS
from analysis.statistics.scores import SCORE_LABELS
from analysis.tables.files.table_files import machine_rows
from analysis.tables.files.table_text import csv_text

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

    together = pd.concat(
        [report.tables.comparison.assign(study=name) for name, report in reports.items()],
        ignore_index=True,
    ).drop(columns="remarks")
    columns = ["study", *(column for column in together.columns if column != "study")]
    csv = folder / "tables" / "comparison.csv"
    csv.parent.mkdir(parents=True, exist_ok=True)
    rows = machine_rows(together[columns])
    csv.write_text(csv_text(rows), encoding="utf-8", newline="\n")
    files = [csv]
    charts = {}
    for chart in _charts(reports):
        written = write_chart(chart, folder / "figures")
        charts[chart.name] = page_chart(chart, written)
        files += written
    html = (
        environment()
        .get_template("side_by_side.html")
        .render(
            studies=[
                {
                    "name": name,
                    "folder": report.folder_name,
                    "facts": study_facts(report.record),
                    "num_warnings": len(warnings(report.record, report.scores)),
                    "findings": findings(report.answer),
                    "comparison": report.tables.comparison.to_dict("records"),
                    "differences": difference_rows(report.answer),
                    "measure": report.answer.measure,
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


def _charts(reports: Mapping[str, StudyReport]) -> list[Chart]:
    """The label-scarcity curves, one panel per study."""
    import pandas as pd

    infos = {
        name: label_scarcity_info(report.scores, report.answer.measure)
        for name, report in reports.items()
        if not report.scores.empty
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
            label="Test scores over the annotated share, one panel per study",
            data=pd.DataFrame(rows),
            panels=tuple(
                partial(
                    draw_label_scarcity, info, title=f"{name}: test {SCORE_LABELS[info.measure]}"
                )
                for name, info in infos.items()
            ),
            variants=tuple(variant for variant in MODELS if variant in drawn),
            note="Line: mean; points: seeds; band, from 3 seeds on: t-based 95 % interval over "
            "seeds. Each panel has a scale of its own.",
        )
    ]
