"""From the names of studies to their files: tables, figures, pictures, exports and pages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from analysis.findings.workers import InThisProcess
from analysis.page.side_by_side import write_side_by_side
from analysis.page.study_report import StudyReport
from analysis.page.summary import summary_text
from analysis.reading.schema import EXPORT_SUFFIX, StudyDataError
from analysis.reading.sources.export import write_export
from analysis.reading.sources.load import load_study
from contract.names import REPORT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ReportPaths:
    """What a command has written."""

    folder: Path
    files: tuple[Path, ...]
    """Every file written, a page last."""
    comparisons: dict[str, pd.DataFrame]
    """By study: as from `comparison.comparison`."""
    summary: str = ""
    """Of the page of one study: as from `summary.summary_text`."""

    @property
    def index(self) -> Path | None:
        """The page; None if none was asked for."""
        last = self.files[-1] if self.files else None
        return last if last is not None and last.suffix == ".html" else None

    @property
    def comparison(self) -> pd.DataFrame:
        """That of the first study."""
        return next(iter(self.comparisons.values()))


Folder = str | Path | None
Writer = Callable[[StudyReport, Path], tuple[Path, ...]]


class Options(TypedDict, total=False):
    """Options that every command has."""

    tracking_uri: str | None
    """MLflow's store; default MLFLOW_TRACKING_URI, else `sqlite:///mlflow.db`."""
    out: Folder
    """Folder to write into; default `studies/<name>/report`, and for several studies
    `studies/<name>+<name>/report`."""
    workers: Executor | None
    """Where charts are drawn, as from `workers.worker_processes`; None: here."""


def make_report(*names: str, **options: Unpack[Options]) -> ReportPaths:
    """Writes the page with all tables, figures and pictures of a study.

    Of several studies, each gets a folder of its own with all of that, and one page shows them
    side by side.

    Args:
        names: Studies, or exported files (*.parquet).
        options: As in `Options`.

    Returns:
        Where things are; `index` is the page.

    Raises:
        UnknownStudyError: If the store has no such study.
        StudyDataError: If a record does not keep the contract, or a study is named twice.
    """
    return _write(StudyReport.write_page, names, **options)


def make_tables(*names: str, **options: Unpack[Options]) -> ReportPaths:
    """Writes the tables alone; arguments and errors as in `make_report`."""
    return _write(StudyReport.write_tables, names, **options)


def make_curves(*names: str, **options: Unpack[Options]) -> ReportPaths:
    """Writes the charts alone; arguments and errors as in `make_report`.

    Before any trial is confirmed or searched there is nothing to draw, and `files` is empty.
    """
    return _write(StudyReport.write_curves, names, **options)


def make_pictures(*names: str, **options: Unpack[Options]) -> ReportPaths:
    """Writes the sheets of pictures alone; arguments and errors as in `make_report`.

    Studies without maps (older ones, exported ones) have none.
    """
    return _write(StudyReport.write_pictures, names, **options)


def make_export(*names: str, **options: Unpack[Options]) -> ReportPaths:
    """Writes each study as a file `<name>.parquet`; arguments and errors as in `make_report`."""

    def write(report: StudyReport, folder: Path) -> tuple[Path, ...]:
        return (write_export(report.record, folder / f"{report.folder_name}{EXPORT_SUFFIX}"),)

    return _write(write, names, **options)


def _write(
    writer: Writer,
    names: tuple[str, ...],
    tracking_uri: str | None = None,
    out: Folder = None,
    workers: Executor | None = None,
) -> ReportPaths:
    records = [load_study(name, tracking_uri) for name in names]
    reports = {
        record.info.name: StudyReport(record=record, workers=workers or InThisProcess())
        for record in records
    }
    folders = {report.folder_name.casefold() for report in reports.values()}
    if len(folders) < len(names):
        raise StudyDataError(f"studies must have different names, got {', '.join(names)}")
    first = next(iter(reports.values()))
    if len(reports) == 1:
        folder = first.home if out is None else Path(out)
        files = writer(first, folder)
    else:
        together = (
            first.home.parent.parent
            / "+".join(one.folder_name for one in reports.values())
            / REPORT
        )
        folder = together if out is None else Path(out)
        files = tuple(
            path for one in reports.values() for path in writer(one, folder / one.folder_name)
        )
        if writer is StudyReport.write_page:
            files += write_side_by_side(reports, folder)
    return ReportPaths(
        folder=folder,
        files=files,
        comparisons={name: report.tables.comparison for name, report in reports.items()},
        summary=(
            summary_text(first) if writer is StudyReport.write_page and len(reports) == 1 else ""
        ),
    )
