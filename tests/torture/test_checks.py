"""The harness must be able to object: every check on what it is there to find."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from harness.checks import Record, TrialRun, record_problems, result_problems, run_problems
from harness.driver_kills import Torture, cut_to_half
from harness.moments import KINDS, START_UP, draw_moment, kinds_of_round
from harness.processes import Command, end
from harness.tortured_study import TorturedStudy

STEPS = {"train/loss": [3, 6], "val/mean_f1": [3, 6]}
RUNS = [
    TrialRun("", "FINISHED", {}, {}),
    TrialRun("a", "FINISHED", {}, STEPS),
    TrialRun("b", "FINISHED", {}, STEPS),
]


@pytest.fixture
def study(tmp_path: Path) -> TorturedStudy:
    made = TorturedStudy(tmp_path / "study", tmp_path / "data")
    for key in ("a", "b"):
        (made.trials / key).mkdir(parents=True)
        (made.trials / key / "result.json").write_text("{}")
    return made


def test_untouched_results_are_fine(study):
    torture = Torture(study, print)
    torture.look()
    torture.look()
    assert torture.problems == []


def test_removed_result_is_found(study):
    torture = Torture(study, print)
    torture.look()
    (study.trials / "a" / "result.json").unlink()
    torture.look()
    assert torture.problems == ["a: its result.json is gone"]


def test_result_written_again_with_the_same_content_is_found(study):
    before = study.results()
    new = study.trials / "b" / "new"
    new.write_text("{}")
    new.replace(study.trials / "b" / "result.json")
    assert result_problems(before, study.results()) == [
        "b: finished, and its result.json was written again"
    ]


def test_removed_result_that_came_back_between_two_looks_is_found(study):
    torture = Torture(study, print)
    torture.look()
    file = study.trials / "a" / "result.json"
    file.unlink()
    file.write_text("{}")
    os.utime(file, ns=(0, 0))  # a new file may get the old one's inode
    torture.look()
    assert torture.problems == ["a: finished, and its result.json was written again"]


def test_same_runs_are_fine():
    assert run_problems(RUNS, list(reversed(RUNS))) == []


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        (RUNS[:2], "b: 0 runs in MLflow"),
        ([*RUNS, RUNS[2]], "b: 2 runs in MLflow"),
        ([*RUNS, replace(RUNS[2], key="c")], "c: 1 runs in MLflow"),
        ([*RUNS, RUNS[0]], "parent: 2 runs in MLflow"),
        ([replace(RUNS[0], status="KILLED"), *RUNS[1:]], "parent: its run is KILLED"),
        ([*RUNS[:2], replace(RUNS[2], status="RUNNING")], "b: its run is RUNNING"),
        (
            [*RUNS[:2], replace(RUNS[2], steps={**STEPS, "train/loss": [3, 6, 3]})],
            "b: train/loss has points twice: [3, 3, 6]",
        ),
        (
            [*RUNS[:2], replace(RUNS[2], steps={**STEPS, "val/mean_f1": [6]})],
            "b: val/mean_f1 has steps [6], not [3, 6]",
        ),
        (
            [*RUNS[:2], replace(RUNS[2], steps={"train/loss": [3, 6]})],
            "b: val/mean_f1 has steps [], not [3, 6]",
        ),
    ],
)
def test_other_runs_are_found(got, problem):
    assert run_problems(RUNS, got) == [problem]


def test_other_table_curve_and_confusion_are_found():
    reference = Record(b"x\n", {"a": [[1.0]]}, {"a": b"{}"}, RUNS)
    assert record_problems(reference, reference) == []
    got = Record(b"y\n", {"a": [[1.5]]}, {}, RUNS)
    assert record_problems(reference, got) == [
        "comparison.csv differs:\nb'x\\n'\nb'y\\n'", "a: other curves", "a: other confusions",
    ]  # fmt: skip


def test_moments_follow_from_the_seed(study):
    def drawn(seed: int) -> list[tuple[str, str, float]]:
        generator = Random(seed)
        moments = [
            draw_moment(kind, study, generator)
            for number in range(2)
            for kind in kinds_of_round(number, generator)
        ]
        return [(moment.kind, moment.what, moment.then_s) for moment in moments]

    assert drawn(1) == drawn(1) != drawn(2)
    kinds = [kind for kind, _, _ in drawn(1)]
    assert tuple(kinds[:5]) == KINDS, "a new study is struck when it starts"
    assert sorted(kinds[5:]) == sorted(KINDS)
    assert kinds[5] != START_UP, "a continued one, too"


def test_file_is_cut_to_half(tmp_path):
    file = tmp_path / "checkpoint.pt"
    file.write_bytes(bytes(range(10)))
    cut_to_half(file)
    assert file.read_bytes() == bytes(range(5))


def test_child_that_outlives_its_command_is_ended_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.processes._HELPERS_MAY_STAY_S", 0.2)
    child = [sys.executable, "-c", "import time; time.sleep(600)"]
    code = f"import subprocess; subprocess.Popen({child!r})"
    command = Command([sys.executable, "-c", code], tmp_path, os.environ, tmp_path / "log")
    assert command.wait(120) == 0
    (left,) = command.members()
    assert "time.sleep(600)" in left.command
    _, ended = command.settle()
    assert [text.split()[0] for text in ended] == [str(left.pid)]
    assert command.members() == []


def test_process_of_a_reused_pid_is_left_alone(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
    )
    try:
        command = Command([sys.executable, "-c", ""], tmp_path, os.environ, tmp_path / "log")
        (itself,) = [one for one in command.members() if one.pid == command.pid] or [None]
        command.wait(120)
        if itself is not None:
            end(replace(itself, pid=child.pid), child.pid)
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()
