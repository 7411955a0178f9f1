"""The command: `python -m analysis report|tables|curves NAME`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from analysis.report import ReportPaths, make_curves, make_report, make_tables
from analysis.schema import StudyDataError
from analysis.store import UnknownStudyError
from analysis.tables import comparison_text

COMMANDS: dict[str, tuple[Callable[..., ReportPaths], str]] = {
    "report": (make_report, "one HTML page with all tables and figures"),
    "tables": (make_tables, "the tables as CSV, Markdown and LaTeX"),
    "curves": (make_curves, "the label-scarcity figure as PNG and SVG"),
}


class _OneLineParser(argparse.ArgumentParser):
    """Refuses in one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The arguments of the command."""
    described = "\n".join(f"  {name:8}{what}" for name, (_, what) in COMMANDS.items())
    parsed = _OneLineParser(
        prog="python -m analysis",
        description=f"Reads a study from MLflow and writes:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsed.add_argument("command", choices=list(COMMANDS), metavar="|".join(COMMANDS))
    parsed.add_argument("name", metavar="NAME", help="the study")
    parsed.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's store (default: MLFLOW_TRACKING_URI, else sqlite:///mlflow.db)",
    )
    parsed.add_argument(
        "--out", metavar="DIR", help="folder to write into (default: studies/NAME/report)"
    )
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: As on the command line; None takes them from there.

    Returns:
        Exit code: 0 written, 1 nothing to write, 2 refused.
    """
    options = parser().parse_args(arguments)
    make, _ = COMMANDS[options.command]
    try:
        paths = make(options.name, options.tracking_uri, options.out)
    except (UnknownStudyError, StudyDataError) as error:
        print(f"python -m analysis: {error}", file=sys.stderr)
        return 2
    if not paths.files:
        print(
            f"python -m analysis: study {options.name} has no confirmed trial yet, "
            "so there is nothing to draw",
            file=sys.stderr,
        )
        return 1
    print(comparison_text(paths.comparison))
    print()
    for path in paths.files if paths.index is None else (paths.index,):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
