"""A study of 3 seeds is extended to 5 under its name, and killed on the way."""

import contextlib
import csv
import hashlib
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

import run_study
import study.design.arms as arms_module
from analysis.reading.looks import look_reached
from analysis.reading.sources.load import load_study

HERE = Path(__file__).parent
COMMAND = HERE.parents[2] / "run_study.py"
ARMS = ("urec-f1.00", "unet-f1.00")
TRAINING = {
    "width": 2, "downsample": 1, "patch_px": 32, "sampling": "random", "batch_size": 2,
    "steps": 2, "warmup_steps": 1, "ema_decay": 0.0, "num_validations": 1, "infer_window_px": 64,
    "infer_step_px": 64,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(patched, tiny_folder, mlflow_database, tmp_path_factory):
    """Where commands are run, with a finished study of 3 seeds and a configuration without any."""
    folder = tmp_path_factory.mktemp("growing")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    options = {
        "data": str(tiny_folder), "models": ["urec", "unet"], "sampler": "grid",
        "space": "w1=0.05/0.3,label_frac=1", "output": str(folder / "studies"),
        "tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(options | TRAINING))
    assert run(folder, "grown", "3") == 0
    shutil.copytree(folder / "studies" / "grown", folder / "three")
    return folder


def run(place, name, seeds=None, *more):
    """Run the command in this process; its exit status."""
    given = [] if seeds is None else ["--seeds", seeds]
    with contextlib.chdir(place):
        return run_study.main(
            ["--config", str(place / "config.yaml"), "--name", name, *given, *more]
        )


def begin_again(place, kept="three"):
    """Put the study's folder back as it was."""
    shutil.rmtree(place / "studies" / "grown")
    shutil.copytree(place / kept, place / "studies" / "grown")


def results(folder):
    """What says that a trial has finished, and when it was written."""
    return {
        file.parent.name: (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in folder.glob("trials/*/result.json")
    }


def manifest(place, name="grown"):
    return yaml.safe_load((place / "studies" / name / "study.yaml").read_text())


def record(place, name="grown"):
    return load_study(name, f"sqlite:///{place / 'mlflow.db'}")


def test_nothing_that_had_finished_is_trained_again(place, capsys):
    begin_again(place)
    folder = place / "studies" / "grown"
    before, begun = results(folder), manifest(place)
    assert run(place, "grown", "5") == 0
    grown = capsys.readouterr()
    after = results(folder)
    assert {key: after[key] for key in before} == before
    assert after.keys() - before.keys() == {f"confirm-{arm}-s{s}" for arm in ARMS for s in (4, 5)}
    assert "note: a look at 5 seeds was not planned but added after 3" in grown.err
    now = manifest(place)
    assert now["study_id"] == begun["study_id"]
    assert now["config"] == begun["config"] | {"seeds": 5}
    assert now["budgets"][: len(begun["budgets"])] == begun["budgets"]
    assert [(one["seeds"], one["is_planned"]) for one in now["looks"]] == [(3, True), (5, False)]
    # The same as a study that began with five.
    assert run(place, "whole", "5") == 0
    assert capsys.readouterr().out == grown.out
    told = record(place)
    assert "The study planned 3 seeds per arm." in look_reached(told).sentence
    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    assert client.get_run(told.run_id).data.tags["seeds"] == "5"
    # And goes on with them where none are asked for.
    assert run(place, "grown") == 0
    assert results(folder) == after
    assert capsys.readouterr().out == grown.out


def test_the_chosen_setting_stays(place):
    """The search is neither repeated nor read again, though its scores have become others."""
    begin_again(place)
    folder = place / "studies" / "grown" / "trials"
    chosen = record(place).trials.set_index("trial_key").loc["confirm-urec-f1.00-s1", "w1"]
    for file in folder.glob("search-urec-*/result.json"):
        file.unlink()  # lost; what is run again may come out otherwise
    for number in range(2):
        shutil.rmtree(folder / f"search-urec-f1.00-t{number:03d}")
    assert run(place, "grown", "4") == 0
    trials = record(place).trials
    confirmed = trials[(trials["phase"] == "confirm") & (trials["model"] == "urec")]
    assert set(confirmed["w1"]) == {chosen}
    assert len(confirmed) >= 4


def test_a_kill_between_any_two_trials_loses_nothing(place, run_and_then, capsys):
    """The folder as it lay after each trial is one that a kill leaves."""
    begin_again(place)
    folder = place / "studies" / "grown"
    left = []

    def keep():
        left.append(f"left-{len(left)}")
        shutil.copytree(folder, place / left[-1])

    run_and_then(keep)
    assert run(place, "grown", "5") == 0
    table, num_trials = capsys.readouterr().out, len(results(folder))
    assert len(left) == 4
    run_and_then(lambda: None)
    for kept in (left[0], left[2]):
        begin_again(place, kept)
        before = results(folder)
        assert run(place, "grown", "5") == 0
        after = results(folder)
        assert {key: after[key] for key in before} == before
        assert len(after) == num_trials
        assert capsys.readouterr().out == table
        assert [one["seeds"] for one in manifest(place)["looks"]] == [3, 5]


def test_fewer_seeds_are_refused_in_one_line(place, capsys):
    begin_again(place)
    assert run(place, "grown", "2") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "run_study.py: --seeds must be at least the 3 that the study 'grown' has, got 2; write "
        "--seeds 3 to go on with them"
    )


def test_a_run_ends_at_a_look_and_the_next_goes_on(place, capsys):
    assert run(place, "looked", "1,2", "--look", "1") == 0
    folder = place / "studies" / "looked"
    confirmed = {key for key in results(folder) if key.startswith("confirm")}
    assert confirmed == {f"confirm-{arm}-s1" for arm in ARMS}
    assert "this run ends at the look at 1 seed;" in capsys.readouterr().err
    assert record(place, "looked").info.status == "stopped"
    assert len(manifest(place, "looked")["budgets"]) == 3, "all are drawn beforehand"
    assert run(place, "looked", None, "--look", "3") == 2
    assert "--look must be one of 1, 2, got 3" in capsys.readouterr().err
    assert run(place, "looked") == 0
    assert len([key for key in results(folder) if key.startswith("confirm")]) == 4
    assert record(place, "looked").info.status == "finished"


def test_repeating_a_study_under_another_name_is_named_at_its_start(place, capsys):
    """The best of several studies without a difference showed one in 22 of 100."""
    assert run(place, "again", "1") == 0
    said = capsys.readouterr().err
    assert "other stud" in said
    assert "grown" in said
    assert "grown" in manifest(place, "again")["similar_studies"]
    assert "again" not in manifest(place, "again")["similar_studies"]
    assert "similar_studies" not in yaml.safe_load((place / "three" / "study.yaml").read_text())
    assert run(place, "other", "1", "--models", "unet", "--space", "label_frac=1") == 0
    assert "similar_studies" not in manifest(place, "other")


def test_records_of_a_study_that_is_refused_are_left_alone(place, capsys):
    """An older checkout renamed records that it could not read, and then refused the study."""
    begin_again(place)
    folder = place / "studies" / "grown"
    newer = folder / "trials" / "search-urec-f1.00-t000" / "result.json"
    newer.write_text('{"of": "a newer version"}')
    before = {file: file.read_bytes() for file in folder.rglob("*.json")}
    assert run(place, "grown", "3", "--trials", "9") == 2
    assert "trials: 2 -> 9" in capsys.readouterr().err
    assert {file: file.read_bytes() for file in folder.rglob("*.json")} == before
    assert not list(folder.rglob("*.damaged*"))


def test_a_study_that_once_searched_for_nothing_is_whole_and_goes_on(place, monkeypatch):
    """Its search trial of U-Net was on record and not among those asked for: `-1 were left out`."""
    asked = arms_module._num_search
    with monkeypatch.context() as earlier:
        earlier.setattr(arms_module, "_num_search", lambda *given: max(1, asked(*given)))
        assert run(place, "searched", "1") == 0
    kept = place / "studies" / "searched" / "trials" / "search-unet-f1.00-t000" / "result.json"
    before = kept.read_bytes()
    assert run(place, "searched", "1") == 0
    assert run(place, "searched", "2") == 0
    assert kept.read_bytes() == before
    confirmed = [*kept.parents[1].glob("confirm-unet-*")]
    assert len(confirmed) == 2


@pytest.mark.slow
def test_a_study_of_three_seeds_is_extended_to_five_and_killed(
    tiny_folder, mlflow_database, tmp_path, monkeypatch
):
    """The command itself, with Ray: its driver is killed while it trains the new seeds."""
    monkeypatch.syspath_prepend(str(HERE.parents[1] / "torture"))
    from harness.processes import Command
    from harness.tortured_study import environment

    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    options = {
        "data": str(tiny_folder), "name": "grown", "models": ["urec", "unet"], "sampler": "grid",
        "space": "w1=0.05/0.3,label_frac=1",
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(options | TRAINING))
    folder, started = tmp_path / "studies" / "grown", []

    def start(seeds):
        words = [sys.executable, str(COMMAND), "--config", "config.yaml", "--seeds", seeds]
        log = tmp_path / f"driver-{len(started)}.log"
        started.append(Command(words, tmp_path, environment(), log))
        return started[-1]

    try:
        assert start("3").wait(1200) == 0, started[-1].said()
        before = results(folder)
        killed = start("5")
        while not results(folder).keys() - before.keys():
            assert killed.is_running, killed.said()
        killed.kill_all()
        between = results(folder)
        assert start("5").wait(1200) == 0, started[-1].said()
    finally:
        for command in started:
            command.kill_all()
    after = results(folder)
    assert {key: after[key] for key in before} == before
    assert {key: after[key] for key in between} == between
    assert len(after) == 2 + 2 * 5
    with (folder / "report" / "tables" / "comparison.csv").open() as file:
        assert {row["num_seeds"] for row in csv.DictReader(file)} == {"5"}
    page = (folder / "report" / "index.html").read_text()
    assert "The study planned 3 seeds per arm. Not planned, and added on" in page
