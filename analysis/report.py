"""From a study's name to its files: tables, figures and the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.figure_files import write_label_scarcity
from analysis.load import StudyRecord, load_study
from analysis.page import render_page
from analysis.scores import score_trials
from analysis.search_table import search_results
from analysis.table_files import write_comparison, write_confusion
from analysis.tables import comparison, confusion_tables

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """What a command has written."""

    folder: Path
    index: Path | None
    """The page; None if only tables or figures were asked for."""
    files: tuple[Path, ...]
    """Every file written, the page included."""
    comparison: pd.DataFrame
    """As from `tables.comparison`."""


def make_report(
    name: str, tracking_uri: str | None = None, out: str | Path | None = None
) -> ReportPaths:
    """Writes the page with all tables and figures of a study.

    Args:
        name: The study.
        tracking_uri: MLflow's store; default MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`.
        out: Folder to write into; default `studies/<name>/report`.

    Returns:
        Where things are; `index` is the page.

    Raises:
        UnknownStudyError: If the store has no such study.
        StudyDataError: If a record does not keep the contract.
    """
    return _write(name, tracking_uri, out, tables=True, figures=True, page=True)


def make_tables(
    name: str, tracking_uri: str | None = None, out: str | Path | None = None
) -> ReportPaths:
    """Writes the tables alone; arguments and errors as in `make_report`."""
    return _write(name, tracking_uri, out, tables=True, figures=False, page=False)


def make_curves(
    name: str, tracking_uri: str | None = None, out: str | Path | None = None
) -> ReportPaths:
    """Writes the label-scarcity figure alone; arguments and errors as in `make_report`.

    Before any trial is confirmed there is nothing to draw, and `files` is empty.
    """
    return _write(name, tracking_uri, out, tables=False, figures=True, page=False)


def _write(
    name: str,
    tracking_uri: str | None,
    out: str | Path | None,
    *,
    tables: bool,
    figures: bool,
    page: bool,
) -> ReportPaths:
    record: StudyRecord = load_study(name, tracking_uri)
    config = record.info.document.get("config") or {}
    home = Path(config.get("output") or "studies") / name
    folder = home / "report" if out is None else Path(out)
    scores = score_trials(record)
    compared = comparison(record, scores)
    confusions = confusion_tables(record, scores)
    files: list[Path] = []
    if tables:
        files += write_comparison(compared, folder / "tables")
        for table in confusions:
            files += write_confusion(table, folder / "tables")
    if figures and not scores.empty:
        files += write_label_scarcity(scores, folder / "figures")
    index = folder / "index.html" if page else None
    if index is not None:
        html = render_page(
            record,
            scores=scores,
            comparison=compared,
            confusions=confusions,
            search=search_results(record),
        )
        index.write_text(html, encoding="utf-8", newline="\n")
        files.append(index)
    return ReportPaths(folder=folder, index=index, files=tuple(files), comparison=compared)
