from pathlib import Path

import pandas as pd

from analysis.charts.chart import Chart, write_chart
from analysis.charts.scarcity import label_scarcity_chart
from analysis.reading.compared import tried_variants
from analysis.reading.sources.load import load_study
from analysis.reading.styles import styles_of
from analysis.statistics.scores import score_trials


def test_files_are_the_same_bytes_every_time(store: str, tmp_path: Path) -> None:
    record = load_study("full", store)
    chart = label_scarcity_chart(score_trials(record), record.styles)
    first = {path.name: path.read_bytes() for path in write_chart(chart, tmp_path / "a")}
    again = {path.name: path.read_bytes() for path in write_chart(chart, tmp_path / "b")}
    assert set(first) == {"label_scarcity.png", "label_scarcity.svg", "label_scarcity.csv"}
    assert first["label_scarcity.png"].startswith(b"\x89PNG")
    assert first == again


def test_the_csv_holds_what_is_drawn(store: str, tmp_path: Path) -> None:
    record = load_study("full", store)
    chart = label_scarcity_chart(score_trials(record), record.styles)
    *_, csv = write_chart(chart, tmp_path)
    frame = pd.read_csv(csv)
    columns = "measure model label_frac reached_frac with_val_frac num_seeds mean low high"
    assert " ".join(frame.columns) == columns
    assert len(frame) == 2 * 2 * 2
    assert (frame["low"] < frame["mean"]).all()


def test_dollar_signs_of_a_name_are_no_formula(tmp_path: Path) -> None:
    names = ["a $x$ b", "$y$"]
    styles = styles_of(tried_variants([(name, name) for name in names]))
    chart = Chart(
        name="one",
        label="One",
        data=pd.DataFrame(),
        panels=(lambda axes: axes.set_xlabel(names[0]),),
        styles=styles,
    )
    svg = write_chart(chart, tmp_path)[1].read_text()
    assert svg.count(">a $x$ b<") == 2
    assert svg.count(">$y$<") == 1
