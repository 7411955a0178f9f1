from pathlib import Path

from study.mlflow_runs.names import tag_value
from study.mlflow_runs.shown.descriptions import (
    begun_text,
    ended_text,
    experiment_text,
    may_be_written,
)

REPORT = Path("/studies/town/report")


def test_what_was_written_here_may_be_written_again_and_nothing_else():
    for text in (None, "", begun_text(REPORT), ended_text("**Findings**", REPORT)):
        assert may_be_written(text)
    assert may_be_written(experiment_text("town", {"config": {}}, REPORT))
    assert not may_be_written("Mine")
    assert not may_be_written(f"{begun_text(REPORT)}\nSeed 3 looks odd")


def test_a_long_text_keeps_its_last_line_where_mlflow_cuts():
    text = ended_text("word " * 5000, REPORT)
    assert tag_value(text) == text
    assert may_be_written(text)
    assert "…" in text


def test_a_record_that_says_little_is_described_in_whole_sentences():
    text = experiment_text("town", {"config": {}}, REPORT)
    assert "It compares" not in text
    assert " ." not in text
    assert str(REPORT / "index.html") in text
