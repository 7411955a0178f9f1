import io
import math
from dataclasses import replace

import pytest

import analysis.page.watch as watching
from analysis.__main__ import main
from analysis.page.running import ArmProgress, RunningTrial, StudyProgress
from analysis.page.watch import progress_text, watch
from analysis.reading.sources.store import StoreAwayError, UnknownStudyError
from contract.terminal import writable

ARM = ArmProgress(
    label_frac=0.02, label="U-Net", num_searched=1, num_search=1, num_confirmed=1, num_confirm=3,
    num_failed=1, best_score=0.512,
)  # fmt: skip
GOING = StudyProgress(
    name="roofs", status="running", select_by="mean_f1",
    arms=(ARM, replace(ARM, label="U-REC", num_searched=0, num_confirmed=0, num_failed=0,
                       best_score=math.nan)),
    running=(RunningTrial(key="confirm-unet-f0.02-s2", step=60, steps=120.0,
                          scores=(0.0, 0.05, 0.3, 1.0, 0.43)),),
    seconds_left=3725.0, silent_s=3.0, look="Findings are closed until 3 seeds have ended.",
)  # fmt: skip
ENDED = replace(GOING, status="finished", running=())


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Study:
    """Answers as a store would, one answer after the other; the last one again and again."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *answers: StudyProgress | Exception
    ) -> None:
        self.answers = list(answers)
        self.num_asked = 0
        self.waited_s: list[float] = []
        monkeypatch.setattr(watching, "read_progress", self.read)

    def read(self, name: str, tracking_uri: str | None, now_s: float) -> StudyProgress:
        answer = self.answers[min(self.num_asked, len(self.answers) - 1)]
        self.num_asked += 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(self, stream: io.StringIO, once: bool = False) -> int:
        return watch("roofs", None, once=once, stream=stream, sleep=self.waited_s.append)


def test_what_is_shown_of_a_study() -> None:
    lines = plain(progress_text(GOING)).splitlines()
    assert lines[0] == "roofs: 2 of 8 trials done, 1 running, 1 failed, about 1:02:05 left"
    assert lines[2:5] == [
        "labels  model  search  confirmation  failed  best validation mean F1",
        "2 %     U-Net  1 of 1  1 of 3        1       0.512",
        "2 %     U-REC  0 of 1  0 of 3                \N{EN DASH}",
    ]
    assert "confirm-unet-f0.02-s2: step 60 of 120, validation mean F1 ▁▁▃█▄ 0.430" in lines
    assert lines[-1] == GOING.look
    unknown = replace(GOING, seconds_left=math.nan)
    assert "estimating time left" in progress_text(unknown)


def test_a_trial_before_its_first_validation_has_no_curve() -> None:
    (one,) = GOING.running
    text = progress_text(replace(GOING, running=(replace(one, scores=()),)))
    assert "confirm-unet-f0.02-s2: step 60 of 120\n" in text


def test_of_a_long_trial_the_last_validations_are_drawn() -> None:
    (one,) = GOING.running
    text = progress_text(replace(GOING, running=(replace(one, scores=(1.0,) * 70 + (0.43,) * 30),)))
    assert f"mean F1 \N{HORIZONTAL ELLIPSIS}{'▁' * 30} 0.430" in text


def test_scores_that_hardly_move_are_drawn_level() -> None:
    (one,) = GOING.running
    text = progress_text(replace(GOING, running=(replace(one, scores=(0.70, 0.71, 0.70)),)))
    assert "mean F1 ▁▁▁ 0.700" in text


def test_a_terminal_without_bars_has_other_signs() -> None:
    assert "mean F1 __-#~ 0.430" in writable(progress_text(GOING), "ascii")


def test_silence_is_told_after_a_while() -> None:
    assert "Nothing was recorded" not in progress_text(GOING)
    silent = progress_text(replace(GOING, silent_s=3600.0))
    assert "Nothing was recorded for 1:00:00: if the command" in silent


def test_of_many_running_trials_some_are_named() -> None:
    many = tuple(replace(GOING.running[0], key=f"confirm-{i}") for i in range(20))
    text = progress_text(replace(GOING, running=many))
    assert "confirm-7: " in text
    assert "confirm-8: " not in text
    assert "and 12 more that run" in text


def test_it_is_shown_until_the_study_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    further = replace(GOING, seconds_left=10.0)
    study = Study(monkeypatch, GOING, GOING, further, ENDED)
    stream = io.StringIO()
    assert study.watch(stream) == 0
    assert study.waited_s == [watching.EVERY_S] * 3
    shown = stream.getvalue()
    assert shown.count("roofs: 2 of 8 trials done, 1 running") == 2, "once for each change"
    assert shown.endswith("`python -m analysis report roofs` shows what was found.\n")
    assert "\x1b" not in shown


def test_a_terminal_is_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(monkeypatch, GOING, replace(GOING, seconds_left=10.0), ENDED)
    stream = Terminal()
    study.watch(stream)
    assert stream.getvalue().count("\x1b[H\x1b[J") == 3
    assert stream.getvalue().count("\x1b[2J") == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("finished", "it has ended (2 of 8 trials done)"),
        ("stopped", "it was stopped; the same command continues it (2 of 8"),
        ("failed", "it ended with failures (2 of 8"),
    ],
)
@pytest.mark.parametrize("once", [False, True])
def test_a_study_that_does_not_run_is_one_line(
    monkeypatch: pytest.MonkeyPatch, status: str, said: str, once: bool
) -> None:
    study = Study(monkeypatch, replace(ENDED, status=status))
    stream = io.StringIO()
    assert study.watch(stream, once) == 1
    assert stream.getvalue().startswith(f"Study roofs does not run: {said}")
    assert stream.getvalue().count("\n") == 1


def test_once_is_once(monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(monkeypatch, GOING)
    stream = io.StringIO()
    assert study.watch(stream, once=True) == 0
    assert (study.num_asked, study.waited_s) == (1, [])
    assert stream.getvalue() == f"{progress_text(GOING)}\n"


def test_a_server_that_is_away_is_one_line_and_a_new_try(monkeypatch: pytest.MonkeyPatch) -> None:
    away = StoreAwayError("tracking server must answer, got connection refused from http://t")
    study = Study(monkeypatch, GOING, away, away, GOING, ENDED)
    stream = io.StringIO()
    assert study.watch(stream) == 0
    assert stream.getvalue().count("connection refused") == 1, "told once, asked twice"
    assert stream.getvalue().count("(asked again every 5 s)") == 1
    with pytest.raises(StoreAwayError):
        Study(monkeypatch, away).watch(stream, once=True)


def test_what_will_not_pass_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(monkeypatch, UnknownStudyError("roofs", ("roof",), "http://t"))
    with pytest.raises(UnknownStudyError):
        study.watch(io.StringIO())
    assert study.waited_s == []


def test_the_command_shows_a_running_study_once(
    store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["watch", "searching", "--once", "--tracking-uri", store]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("searching: 1 of 2 trials done, 1 running")
    assert "test mean" not in shown
    assert main(["watch", "full", "--tracking-uri", store]) == 1
    assert "Study full does not run" in capsys.readouterr().out
    assert main(["watch", "nowhere", "--tracking-uri", store]) == 2
    error = capsys.readouterr().err
    assert error.startswith("python -m analysis: study must be one recorded in")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["watch", "a", "b"], "NAME must be one study on record"),
        (["watch", "a.parquet"], "NAME must be one study on record"),
        (["watch", "a", "--out", "x"], "--out must be left out with watch"),
        (["report", "a", "--once"], "--once must be given to watch alone"),
    ],
)
def test_what_does_not_go_with_watch_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_ctrl_c_ends_it_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> StudyProgress:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "read_progress", stop)
    assert main(["watch", "roofs"]) == 130
    assert capsys.readouterr().err == "python -m analysis: stopped\n"
