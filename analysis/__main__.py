"""The command: `python -m analysis report|tables|curves|pictures|export|watch NAME...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from analysis.findings.workers import InThisProcess, collect_rarely, worker_processes
from analysis.page.report import (
    ReportPaths,
    make_curves,
    make_export,
    make_pictures,
    make_report,
    make_tables,
)
from analysis.page.watch import watch
from analysis.reading.schema import EXPORT_SUFFIX, StudyDataError
from analysis.reading.sources.store import UnknownStudyError
from analysis.tables.comparison import comparison_text
from contract.mlflow_store.logins import hide_logins
from contract.terminal import open_output

COMMANDS: dict[str, tuple[Callable[..., ReportPaths], str]] = {
    "report": (make_report, "one HTML page with all tables and figures"),
    "tables": (make_tables, "the tables as CSV, Markdown and LaTeX"),
    "curves": (make_curves, "the charts as PNG, SVG and CSV"),
    "pictures": (make_pictures, "crops and maps where the models differ, as PNG"),
    "export": (make_export, "all numbers as one Parquet file (docs/export.md)"),
}
WATCH = "watch"
"""The command that writes nothing: how far a running study is."""

_NOTHING = {
    "tables": "no trial of study {} is on record yet, so there is no table",
    "curves": "study {} has no confirmed trial yet, so there is nothing to draw",
    "pictures": "study {} keeps no maps of its test tiles, so there are no pictures",
}


class _OneLineParser(argparse.ArgumentParser):
    """Refuses in one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {hide_logins(message)}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    lines = {name: what for name, (_, what) in COMMANDS.items()}
    lines[WATCH] = "writes nothing: shows in the terminal how far a running study is"
    described = "\n".join(f"  {name:10}{what}" for name, what in lines.items())
    parsed = _OneLineParser(
        prog="python -m analysis",
        description=f"Reads studies from MLflow and writes:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsed.add_argument("command", choices=list(lines), metavar="|".join(lines))
    parsed.add_argument(
        "names",
        metavar="NAME",
        nargs="+",
        help="a study, or an exported file *.parquet; several are put side by side",
    )
    parsed.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's store (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)",
    )
    parsed.add_argument(
        "--out", metavar="DIR", help="folder to write into (default: studies/NAME/report)"
    )
    parsed.add_argument(
        "--once", action="store_true", help="of watch: show it once, and do not wait for the end"
    )
    return parsed


def _check_watch(parsed: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuses what only other commands, or only `watch`, can use."""
    if options.command != WATCH:
        if options.once:
            parsed.error(f"--once must be given to {WATCH} alone, got it with {options.command}")
        return
    if len(options.names) > 1 or options.names[0].endswith(EXPORT_SUFFIX):
        names = ", ".join(options.names)
        parsed.error(f"NAME must be one study on record to be watched, got {names}")
    if options.out is not None:
        parsed.error(f"--out must be left out with {WATCH}, which writes nothing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: As on the command line; None takes them from there.

    Returns:
        Exit code: 0 written or shown, 1 nothing to write or to watch, 2 refused, 130 stopped with
        Ctrl-C.
    """
    parsed = parser()
    options = parsed.parse_args(arguments)
    _check_watch(parsed, options)
    draws = options.command in ("report", "curves")
    try:
        if options.command == WATCH:
            return watch(options.names[0], options.tracking_uri, once=options.once)
        make, _ = COMMANDS[options.command]
        with worker_processes() if draws else InThisProcess() as workers:
            paths = make(
                *options.names,
                tracking_uri=options.tracking_uri,
                out=options.out,
                workers=workers,
            )
    except KeyboardInterrupt:
        print("python -m analysis: stopped", file=sys.stderr)
        return 130
    except (UnknownStudyError, StudyDataError, OSError) as error:
        print(f"python -m analysis: {hide_logins(str(error))}", file=sys.stderr)
        return 2
    if not paths.files:
        print(
            f"python -m analysis: {_NOTHING[options.command].format(', '.join(options.names))}",
            file=sys.stderr,
        )
        return 1
    for name, comparison in paths.comparisons.items():
        if len(paths.comparisons) > 1:
            print(name)
        print(comparison_text(comparison))
        print()
    for path in paths.files if paths.index is None else (paths.index,):
        print(path)
    return 0


if __name__ == "__main__":
    open_output()
    if WATCH not in sys.argv[1:2]:  # it may run for days
        collect_rarely()
    sys.exit(main())
