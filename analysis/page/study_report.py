"""All that is computed of one study, and the files it is written to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.charts.annotation_minutes import minutes_chart
from analysis.charts.chart import Chart, write_chart
from analysis.charts.dose_response import dose_response_charts
from analysis.charts.inline import PageChart, page_chart
from analysis.charts.needed_chart import needed_chart
from analysis.charts.scarcity import label_scarcity_chart
from analysis.findings.warnings import warnings
from analysis.findings.workers import InThisProcess
from analysis.page.html_page import render_page
from analysis.pictures.picture_files import picture_csvs, write_pictures
from analysis.pictures.picture_section import picture_section
from analysis.reading.schema import StudyDataError
from analysis.search.search_section import search_charts, search_section
from analysis.statistics.answer import Answer, answer_of
from analysis.statistics.label_efficiency.shares import distinct_scores
from analysis.statistics.scores import score_trials
from analysis.tables.answer.answer_files import answer_tables
from analysis.tables.files.table_files import write_table
from analysis.tables.files.table_text import TextTable
from analysis.tables.study_tables import StudyTables, study_tables
from contract.names import REPORT

if TYPE_CHECKING:
    import pandas as pd

    from analysis.pictures.picture_data import PictureSection
    from analysis.reading.sources.record import StudyRecord

TABLES, FIGURES = "tables", "figures"
"""Folders beside the page."""


@dataclass(frozen=True, kw_only=True)
class StudyReport:
    """One study; what is not asked for is not computed."""

    record: StudyRecord
    workers: Executor = field(default_factory=InThisProcess)
    """Draws the charts and computes the section of the search."""

    @cached_property
    def scores(self) -> pd.DataFrame:
        """As from `scores.score_trials`."""
        return score_trials(self.record)

    @cached_property
    def answer(self) -> Answer:
        """The statistics."""
        return answer_of(self.record, self.scores)

    @cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before any finding."""
        return warnings(self.record, self.scores)

    @cached_property
    def tables(self) -> StudyTables:
        """Comparison, confusion, costs."""
        return study_tables(self.record, self.scores)

    @cached_property
    def pictures(self) -> PictureSection | None:
        """Crops and maps where models differ; None without any, and while findings are closed."""
        return None if self.answer.closed else picture_section(self.record, self.scores)

    @cached_property
    def shown_pictures(self) -> tuple[PictureSection | None, tuple[str, ...]]:
        """As `pictures`; where they are damaged, None and a warning."""
        try:
            return self.pictures, ()
        except StudyDataError as error:
            return None, (f"No pictures are shown: {error}.",)

    @property
    def home(self) -> Path:
        """The study's own report folder, from where the study was run."""
        config = self.record.info.document.get("config") or {}
        return Path(config.get("output") or "studies") / self.folder_name / REPORT

    @property
    def folder_name(self) -> str:
        """The study's name without what would lead out of a folder."""
        return re.sub(r"[^\w.+ -]", "_", self.record.info.name).lstrip(".") or "_"

    @cached_property
    def texts(self) -> tuple[TextTable, ...]:
        """Every table, those of the statistics last."""
        return (*self.tables.texts(), *answer_tables(self.scores, self.answer))

    def write_tables(self, folder: Path) -> tuple[Path, ...]:
        """Writes every table as .csv, .md and .tex."""
        return tuple(p for text in self.texts for p in write_table(text, folder / TABLES))

    def charts(self) -> Iterator[Chart]:
        """Those that can be drawn; none before a trial is confirmed or searched.

        Test scores are not drawn while findings are closed: curves with their spread are one.
        """
        if not self.scores.empty and not self.answer.closed:
            distinct = distinct_scores(self.record, self.scores)
            yield label_scarcity_chart(distinct, self.record.styles)
            cost = (self.record.info.document.get("config") or {}).get("cost")
            in_minutes = minutes_chart(distinct, self.record.styles, cost)
            if in_minutes is not None:
                yield in_minutes
            yield from dose_response_charts(self.record, distinct, self.answer.measure)
        needed = needed_chart(self.answer)
        if needed is not None:
            yield needed
        yield from search_charts(self.record)

    def write_curves(self, folder: Path) -> tuple[Path, ...]:
        """Writes every chart as .png, .svg and .csv."""
        waiting = [self.workers.submit(write_chart, c, folder / FIGURES) for c in self.charts()]
        return tuple(path for future in waiting for path in future.result())

    def write_pictures(self, folder: Path) -> tuple[Path, ...]:
        """Writes the sheets of pictures; none where the study keeps no maps."""
        section = self.pictures
        return () if section is None else write_pictures(section, folder / FIGURES)

    def write_page(self, folder: Path) -> tuple[Path, ...]:
        """Writes everything, the page last."""
        without_confusions = replace(self.record, confusions={})  # less to hand over
        searched = self.workers.submit(search_section, without_confusions)
        drawn = [(c, self.workers.submit(write_chart, c, folder / FIGURES)) for c in self.charts()]
        pictures, problems = self.shown_pictures
        files = [*self.write_tables(folder)]
        files += () if pictures is None else write_pictures(pictures, folder / FIGURES)
        charts: dict[str, PageChart] = {}
        for chart, written in drawn:
            charts[chart.name] = page_chart(chart, written.result())
            files += written.result()
        html = render_page(
            self.record,
            scores=self.scores,
            answer=self.answer,
            tables=self.tables,
            csvs={text.stem: text.csv for text in self.texts}
            | ({} if pictures is None else picture_csvs(pictures)),
            search=searched.result(),
            pictures=pictures,
            charts=charts,
            warnings=(*self.warnings, *problems),
        )
        index = folder / "index.html"
        folder.mkdir(parents=True, exist_ok=True)
        index.write_text(html, encoding="utf-8", newline="\n")
        return (*files, index)
