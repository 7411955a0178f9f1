"""What the command says at its end."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from study.trials.study_outcome import StudyOutcome


@pytest.fixture
def outcome(tmp_path: Path) -> StudyOutcome:
    return StudyOutcome(
        name="s", folder=tmp_path / "s", tracking_uri="sqlite:///mlflow.db", parent_run_id="r",
        num_trials=3, num_failed=0, num_left_out=0,
    )  # fmt: skip


def test_where_the_profile_is(outcome, tmp_path):
    table = tmp_path / "s" / "report" / "tables" / "time_spent.md"
    table.parent.mkdir(parents=True)
    trace = tmp_path / "trace.json.gz"
    profiled = replace(outcome, is_profiled=True, trace=trace)
    assert profiled.profile == "", "neither is there"
    table.touch()
    assert profiled.profile == f"profile {table}\n"
    trace.touch()
    assert profiled.profile == f"profile {table} {trace}\n"
    assert outcome.profile == "", "an earlier run of the command was profiled, this one not"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:s3cret@host:5000", "https://host:5000"),
        ("postgresql://host/db?user=me&password=s3cret", "postgresql://host/db"),
        ("sqlite:///mlflow.db", "sqlite:///mlflow.db"),
    ],
)
def test_the_line_that_opens_the_ui_holds_no_login(outcome, uri, shown):
    ended = replace(outcome, tracking_uri=uri)
    assert ended.browse.endswith(shown)
    assert "s3cret" not in repr(ended)
    assert ended.tracking_uri.with_login == uri, "the report is made with it"


def test_how_to_browse_is_a_command_of_a_shell(outcome, tmp_path, monkeypatch):
    """Whoever copied it from `50% off (1)` got a syntax error."""
    assert outcome.browse.endswith("/mlflow ui --backend-store-uri sqlite:///mlflow.db")
    program = tmp_path / "50% off #1 {a} (b)" / "python"
    program.parent.mkdir()
    said = program.with_name("mlflow")
    said.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    said.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    odd = replace(outcome, tracking_uri="sqlite:///what?x=1&y=$HOME.db")
    assert shlex.split(odd.browse)[0] == str(said)
    done = subprocess.run(odd.browse, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["ui", "--backend-store-uri", odd.tracking_uri]
    assert replace(outcome, tracking_uri="http://host:5000").browse == "http://host:5000"
