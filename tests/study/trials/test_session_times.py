"""What a study's slots did, over several sessions, by a clock that a test moves."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from analysis.reading.study_times import StudyTimes, study_times
from study.machines.session_file import TIMES, Session, read_sessions
from study.machines.storage_sync import StorageSync
from study.trials.session_times import SessionTimes
from trainables.errors import ConfigError


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def move(seconds):
        now[0] += seconds

    return move


@pytest.fixture
def queue():
    return SimpleNamespace(sending_s=0.0)


def _trial(key):
    return SimpleNamespace(key=key)


def _end(times, *keys):
    for key in keys:
        times.on_end(SimpleNamespace(trial=_trial(key)), Path())


def _session(times, clock, queue, slots=2):
    """10 s before the first trial; a for 8 s, b for 5 of them; 3 s to the end."""
    clock(6.0)
    with times.kept(slots, queue):
        clock(4.0)
        times.on_plan(_trial("a"))
        clock(3.0)
        times.on_plan(_trial("b"))
        clock(5.0)
        _end(times, "a", "b")
        clock(3.0)
        queue.sending_s = 1.5


EXPECTED = {
    "slots": 2, "wall_s": 21.0, "before_s": 10.0, "slot_before_s": 20.0, "slot_s": 42.0,
    "trial_s": 13.0, "tracking_s": 1.5, "callback_s": 0.0,
}  # fmt: skip


def test_a_session_by_hand(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)
    _session(times, clock, queue)
    assert read_sessions(tmp_path / TIMES) == [Session(**EXPECTED)]
    clock(100.0)
    assert times.total() == {f"time/{name}": v for name, v in EXPECTED.items()} | {
        "time/sessions": 1
    }, "the session has ended"


def test_sessions_add_up(tmp_path, clock, queue):
    for slots in (2, 3):
        clock(1000.0)
        times = SessionTimes(tmp_path, is_on=True)
        times.restore(StorageSync(tmp_path, None))
        _session(times, clock, queue, slots)
    total = times.total()
    assert (total["time/wall_s"], total["time/trial_s"], total["time/slot_s"]) == (42, 26, 105)
    assert (total["time/slots"], total["time/sessions"]) == (3, 2)
    assert len(read_sessions(tmp_path / TIMES)) == 2


def test_the_end_is_when_the_sums_are_asked_for(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)
    with times.kept(1, queue):
        times.on_plan(_trial("a"))
        clock(4.0)
        _end(times, "a")
        assert times.total()["time/wall_s"] == 4.0
        clock(50.0)
    assert read_sessions(tmp_path / TIMES)[0].wall_s == 4.0


def test_a_stopped_session_counts_the_trials_that_ran(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)

    def stopped():
        with times.kept(2, queue):
            times.on_plan(_trial("a"))
            clock(4.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    (session,) = read_sessions(tmp_path / TIMES)
    assert (session.trial_s, session.slot_s) == (4.0, 8.0)


def test_a_session_without_a_trial_is_none(tmp_path, clock, queue):
    """The same command again, only to make the report."""
    times = SessionTimes(tmp_path, is_on=True)
    with times.kept(2, queue):
        clock(5.0)
    assert times.total() == {}
    assert list(tmp_path.iterdir()) == []


def test_more_trials_than_slots_make_slots(tmp_path, clock, queue):
    """On a cluster that has grown; else there would be less than no time without a trial."""
    times = SessionTimes(tmp_path, is_on=True)
    with times.kept(1, queue):
        for key in "abc":
            times.on_plan(_trial(key))
        clock(2.0)
        _end(times, *"abc")
        clock(2.0)
    (session,) = read_sessions(tmp_path / TIMES)
    assert (session.slot_s, session.trial_s) == (3 * 2.0 + 2.0, 6.0)


def test_a_trial_that_was_lost_and_is_served_again_holds_one_slot(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)
    with times.kept(1, queue):
        for _ in range(2):
            times.on_plan(_trial("a"))
            clock(2.0)
        _end(times, "a")
    assert read_sessions(tmp_path / TIMES)[0].trial_s == 4.0


def _call_back(times, clock, seconds):
    with times.callback():
        clock(seconds)


def test_callbacks_of_tune_are_timed(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)
    with times.kept(1, queue):
        times.on_plan(_trial("a"))
        clock(1.0)
        _call_back(times, clock, 0.5)
        _call_back(times, clock, 1.0)
    assert read_sessions(tmp_path / TIMES)[0].callback_s == 1.5


def test_a_driver_that_is_killed_loses_some_seconds_alone(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)
    with times.kept(1, queue):
        times.on_plan(_trial("a"))
        clock(60.0)
        _call_back(times, clock, 0.5)
        assert json.loads((tmp_path / TIMES).read_text())["sessions"][0]["trial_s"] == 60.5


def test_without_a_profile_nothing_is_done(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=False)
    _session(times, clock, queue)
    _call_back(times, clock, 60.0)
    assert times.total() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_session_without_a_profile_passes_on_what_is_known(tmp_path, clock, queue):
    _session(SessionTimes(tmp_path, is_on=True), clock, queue)
    before = (tmp_path / TIMES).read_bytes()
    times = SessionTimes(tmp_path, is_on=False)
    times.restore(StorageSync(tmp_path, None))
    _session(times, clock, queue)
    assert times.total() == {f"time/{name}": v for name, v in EXPECTED.items()} | {
        "time/sessions": 1
    }
    assert (tmp_path / TIMES).read_bytes() == before


def test_the_report_reads_what_is_written(tmp_path, clock, queue):
    times = SessionTimes(tmp_path, is_on=True)
    _session(times, clock, queue)
    found = study_times(times.total(), "s")
    assert found == StudyTimes(sessions=1, **EXPECTED)


@pytest.mark.parametrize(
    "content",
    [
        b'{"sessions": [',
        b"[]",
        b"{}",
        b'{"sessions": 3}',
        b'{"sessions": [3]}',
        b'{"sessions": [{}]}',
        b'{"sessions": [{"slots": 1, "wall_s": NaN}]}',
        b'{"sessions": [{"slots": "2"}]}',
        b'{"sessions": [{"slots": 1, "of_a_later_version_s": 1}]}',
        b"\xff",
    ],
)
def test_damaged_times_are_refused_in_one_line(tmp_path, content):
    (tmp_path / TIMES).write_bytes(content)
    with pytest.raises(ConfigError, match=r"got damage in .*times\.json; remove"):
        read_sessions(tmp_path / TIMES)
