"""The command: parse, run, report."""

from __future__ import annotations

import gc
import sys

from contract.mlflow_store.logins import hide_logins
from contract.names import REPORT
from contract.terminal import open_output
from study.errors import StudyHaltedError
from study.settings.command_line import parse_arguments
from study.trials.study_outcome import StudyOutcome
from trainables.errors import ConfigError, DataError


def main(arguments: list[str]) -> int:
    """Run a study; 0 = done, 1 = halted or trials failed, 2 = refused, 130 = stopped."""
    try:
        config, wanted = parse_arguments(arguments)
        if wanted == "plan":
            from study.estimate.plan import plan_text

            print(plan_text(config))
            return 0
        from study.design.preflight import find_dataset

        if wanted == "data":
            from study.design.data_page import inspect_data

            print(inspect_data(config))
            return 0
        if config.data is not None:
            find_dataset(config)  # refused before Ray and MLflow, which take seconds to import
        from study.runner import run_study

        outcome = run_study(config)
        return report(outcome)
    except (ConfigError, DataError) as error:
        return _refuse(f"{error}", 2)
    except StudyHaltedError as error:
        return _refuse(f"{error}; the same command continues the study", 1)
    except OSError as error:
        return _refuse(f"{error}", 1)
    except KeyboardInterrupt:
        print("run_study.py: stopped; the same command continues the study", file=sys.stderr)
        return 130


def _refuse(text: str, status: int) -> int:
    print(f"run_study.py: {hide_logins(text)}", file=sys.stderr)
    return status


def report(outcome: StudyOutcome) -> int:
    """Make the report of a study that has ended and print the comparison; the exit status."""
    from analysis.page.report import make_report
    from analysis.reading.schema import StudyDataError
    from analysis.tables.comparison import arm_scores, comparison_text
    from study.mlflow_runs.study_run import attach_report

    folder = outcome.folder / REPORT
    try:
        made = make_report(outcome.name, tracking_uri=outcome.tracking_uri, out=folder)
    except (StudyDataError, OSError) as error:
        raise StudyHaltedError(f"the trials are done, the report is not: {error}") from error
    scores = arm_scores(made.comparison)
    attach_report(outcome.tracking_uri, outcome.parent_run_id, folder, made.summary, scores)
    print(f"{comparison_text(made.comparison)}\n{outcome.problems}report  {made.index}")
    print(f"{outcome.profile}browse  {outcome.browse}")
    return 0 if outcome.is_complete else 1


if __name__ == "__main__":
    gc.set_threshold(100_000)  # imports make objects and no garbage: a tenth of their time
    open_output()
    sys.exit(main(sys.argv[1:]))
