"""The command: parse, run, report."""

from __future__ import annotations

import sys
from pathlib import Path

from study.cli import parse_arguments
from study.errors import StudyHaltedError
from trainables.errors import ConfigError, DataError


def main(arguments: list[str]) -> int:
    """Run a study; 0 = all trials finished, 1 = some failed, 2 = refused, 130 = stopped."""
    try:
        config, dry_run = parse_arguments(arguments)
        if dry_run:
            from study.plan import plan_text

            print(plan_text(config))
            return 0
        from study.preflight import find_dataset

        if config.data is not None:
            find_dataset(config)  # refused before Ray and MLflow, which take seconds to import
        from study.runner import run_study

        outcome = run_study(config)
    except (ConfigError, DataError) as error:
        print(f"run_study.py: {error}", file=sys.stderr)
        return 2
    except StudyHaltedError as error:
        print(f"run_study.py: {error}; the same command continues the study", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("run_study.py: stopped; the same command continues the study", file=sys.stderr)
        return 130
    from analysis.report import make_report
    from analysis.schema import StudyDataError
    from analysis.tables import comparison_text
    from study.record import attach_report

    try:
        report = make_report(
            outcome.name, tracking_uri=outcome.tracking_uri, out=outcome.folder / "report"
        )
    except StudyDataError as error:
        print(f"run_study.py: the trials are done, the report is not: {error}", file=sys.stderr)
        return 1
    attach_report(outcome.tracking_uri, outcome.parent_run_id, report.folder)
    print(comparison_text(report.comparison))
    if outcome.num_failed:
        print(
            f"{outcome.num_failed} of {outcome.num_trials} trials failed: see traceback.txt of each"
        )
    if outcome.num_left_out:
        print(f"{outcome.num_left_out} were left out: their arm has no finished search trial")
    print(f"report  {report.index}")
    uri = outcome.tracking_uri
    mlflow = Path(sys.executable).with_name("mlflow")
    print(f"browse  {uri if uri.startswith('http') else f'{mlflow} ui --backend-store-uri {uri}'}")
    return 1 if outcome.num_failed or outcome.num_left_out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
