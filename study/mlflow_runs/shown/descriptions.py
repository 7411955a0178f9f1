"""What MLflow shows as the description of a study's experiment and of its runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from contract.names import DISTRIBUTION
from contract.wording import listed
from study.mlflow_runs.names import tag_value

_OURS: Final = f"*Written by {DISTRIBUTION}.*"
"""Last line of what is written here: a text without it is a person's own, and stays."""

_SCORES: Final = {"mean_f1": "mean F1", "miou": "mean IoU", "oa": "OA"}
"""Those of a trial that its description names, and how."""


def experiment_text(name: str, manifest: Mapping[str, Any], report: Path) -> str:
    """What the experiment is, how to browse it, and where the report lies.

    Args:
        name: The study.
        manifest: Content of `study.yaml`.
        report: Folder of the report.
    """
    labels = [str(one["label"]) for one in manifest.get("variants", ())]
    asked = sorted({one["fraction_asked"] for one in manifest.get("budgets", ())})
    fractions = listed([f"{100 * one:g} %" for one in asked])
    data = manifest.get("dataset", {}).get("name")
    compared = ""
    if labels and fractions and data:
        compared = f" It compares {listed(labels)} at {fractions} of the annotations, on {data}."
    return _signed(
        f"Study `{name}`: how much annotation a method saves.{compared}\n\n"
        "The run named like the study holds its findings; below it lies one run per trial, "
        "search trials (`tags.phase = 'search'`) and confirmation trials "
        "(`tags.phase = 'confirm'`). To compare methods, search for `tags.phase = 'confirm'` and "
        "sort by `test/mean_f1`; all numbers of a trial lie in its `result.json`.\n\n"
        f"Report: `{report / 'index.html'}`, and among the artifacts of the study's run."
    )


def begun_text(report: Path) -> str:
    """Of the study's run while its trials run."""
    return _signed(
        "The trials of this study run, or it was stopped and the same command continues it. "
        f"Findings stand here when they are done, and in `{report / 'index.html'}`."
    )


def ended_text(findings: str, report: Path) -> str:
    """Of the study's run once its report is made.

    Args:
        findings: Scores, findings and warnings, in Markdown.
        report: Folder of the report.
    """
    return _signed(f"{findings}\n\nReport: `{report / 'index.html'}`, and among the artifacts.")


def trial_text(record: Mapping[str, Any]) -> str:
    """Of the run of a trial that has finished: its scores, and whether it had converged.

    Args:
        record: Content of its `result.json`.
    """
    metrics = record["metrics"]
    tested = [
        f"{words} {metrics[f'test/{name}']:.3f}"
        for name, words in _SCORES.items()
        if not math.isnan(metrics.get(f"test/{name}", math.nan))
    ]
    text = f"Test: {', '.join(tested)}.\n\n" if tested else ""
    for name, words in _SCORES.items():
        if f"select/{name}" in metrics:
            text += (
                f"Validation: {words} {metrics[f'select/{name}']:.3f}, best at step "
                f"{metrics['select/step']:.0f}."
            )
    if not record["converged"]:
        text += " Not converged: validation was not flat in the last third of training."
    return _signed(text)


def may_be_written(text: str | None) -> bool:
    """Whether a description is there for this package to write: none yet, or its own."""
    return not text or text.rstrip().endswith(_OURS)


def _signed(text: str) -> str:
    """The text as MLflow stores it with its last line, cut where MLflow would cut it."""
    text = tag_value(text)
    longest = len(tag_value("x" * 100_000)) - len(_OURS) - len("\n\n…\n\n")
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return f"{shown}\n\n{_OURS}"
