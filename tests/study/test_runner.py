"""A whole study, from the command to the table; the one test with Ray."""

import contextlib
import csv
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch
import yaml
from mlflow.tracking import MlflowClient

import run_study
import trainables.training.loop as loop
from study import runner
from study.design.arms import confirm_seeds, confirm_trial, plan_arms, search_trial
from study.design.preflight import find_dataset, read_data
from study.design.preparation import prepare
from study.machines import machines
from study.machines.session_file import TIMES
from study.machines.slots import find_slots
from study.trials.tasks import TaskBuilder
from trainables.data.budgets.annotation import Budget
from trainables.data.budgets.drawing import draw_budget
from trainables.settings.process_group import ALONE
from trainables.training.loop import TrainingData

COMMAND = Path(__file__).parents[2] / "run_study.py"


@pytest.fixture
def study(make_config, monkeypatch):
    """A study, its data and the tasks of its trials, without Ray."""
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(space="w1,label_frac=0.25/1", cpus=0.5)
    data = read_data(config, find_dataset(config))
    budgets = prepare(config, data)
    return config, data, TaskBuilder(config, data, budgets, find_slots(config))


def test_search_trial_is_not_given_the_test_tiles(study):
    config, data, tasks = study
    for arm in plan_arms(config):
        task = tasks.build(search_trial(config, arm, 0, {}))
        assert task.tiles == {"train": data.tiles["train"], "val": data.tiles["val"]}
        held = (task.trial, task.budget, task.data, task.folder)
        assert "c1" not in str(held), "nor their names"
        with pytest.raises(ValueError, match="must not be given test tiles"):
            replace(task, tiles=data.tiles)


def test_confirmation_is_given_the_test_tiles(study):
    config, data, tasks = study
    assert tasks.build(confirm_trial(config, plan_arms(config)[0], 1, {})).tiles == data.tiles


def test_trial_is_given_the_budget_of_its_seed_and_fraction(study):
    config, _, tasks = study
    drawn = set()
    for arm in plan_arms(config):
        for seed in confirm_seeds(config):
            trial = confirm_trial(config, arm, seed, {})
            task = tasks.build(trial)
            budget = Budget.from_plain(task.budget)
            assert task.annotated.checksum == budget.pixels_checksum
            assert (budget.seed, budget.fraction_asked) == (trial.seed, trial.label_frac)
            assert task.trial == trial
            assert task.folder == (config.folder / "trials" / trial.key).resolve()
            assert task.resources.cpus == 0.5
            drawn.add(budget.checksum)
    # Paired: two fractions x the seeds, the same for both models.
    assert len(drawn) == 2 * config.seeds
    search = tasks.build(search_trial(config, plan_arms(config)[0], 0, {}))
    assert Budget.from_plain(search.budget).seed == config.seed


def test_trials_of_one_seed_draw_the_same_patches_whatever_their_model(study):
    """Pairs U-Net with both kinds of U-REC: differences between them are no luck of the draw."""
    config, data, _ = study
    config = replace(config, space="lr,reconstruct_on,label_frac=0.25/1")
    budgets = prepare_again(config, data)
    drawn: dict[tuple[float, int], dict[str, str]] = {}
    for arm in plan_arms(config):
        for seed in confirm_seeds(config):
            trial = confirm_trial(config, arm, seed, {})
            digest = patches_digest(trial, data, *budgets[seed, arm.label_frac])
            drawn.setdefault((arm.label_frac, seed), {})[arm.variant.name] = digest
    for digests in drawn.values():
        assert sorted(digests) == ["unet", "urec-all", "urec-annotated"]
        assert len(set(digests.values())) == 1
    assert len({digests["unet"] for digests in drawn.values()}) == len(drawn)


def prepare_again(config, data):
    return {
        (seed, fraction): draw_budget(
            data.tiles["train"], fraction=fraction, seed=seed, unit=config.unit, num_classes=3,
            smallest=0.25,
        )
        for seed in confirm_seeds(config) for fraction in (0.25, 1.0)
    }  # fmt: skip


def patches_digest(trial, data, budget, annotated) -> str:
    """Of the annotated patches of every step, with their masks, in order."""
    given = TrainingData(
        train=data.tiles["train"], annotated=annotated, class_px=budget.class_px,
        val=data.tiles["val"], scaling=data.scaling, class_names=("land", "water", "wood"),
        exclude_from_mean=(),
    )  # fmt: skip
    sampler = loop.build_sampler(trial, given, torch.device("cpu"), ALONE)
    digest = hashlib.sha256()
    for step in range(trial.training.steps):
        batch = sampler.draw(step)
        num = len(batch.masks)
        digest.update(batch.images[:num].numpy().tobytes() + batch.masks.numpy().tobytes())
    return digest.hexdigest()


def run_command(cwd: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"}
    environment |= more
    return subprocess.run(
        [sys.executable, str(COMMAND), *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


def active_runs(cwd: Path) -> dict[str, str]:
    """Run id by trial key; each key once."""
    client = MlflowClient(tracking_uri=f"sqlite:///{cwd / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("whole")
    runs = list(client.search_runs([experiment.experiment_id]))
    parents = [run for run in runs if run.data.tags["phase"] == "study"]
    children = [run for run in runs if run.data.tags["phase"] != "study"]
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert {run.info.status for run in children} == {"FINISHED"}
    found = {run.data.tags["trial_key"]: run.info.run_id for run in children}
    assert len(found) == len(children)
    return found


@pytest.mark.slow
def test_whole_study_and_again_and_changed(
    tiny_folder, tiny_training, mlflow_database, tmp_path, monkeypatch, capsys
):
    shutil.copy(mlflow_database, tmp_path)
    file = tmp_path / "tiny.yaml"
    options = {
        "data": str(tiny_folder), "name": "whole", "models": ["urec", "unet"],
        "space": "w1=0.05/0.3,label_frac=0.5/1", "trials": 2, "seeds": 2,
    }  # fmt: skip
    file.write_text(yaml.safe_dump({**tiny_training, **options}))
    folder = tmp_path / "studies" / "whole"
    done = run_command(tmp_path, "--config", str(file))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "report" in done.stdout

    keys = {
        f"{phase}-{model}-f{fraction}-{number}"
        for fraction in ("0.50", "1.00")
        for phase, model, numbers in (
            ("search", "urec", ("t000", "t001")),
            ("confirm", "urec", ("s1", "s2")),
            ("confirm", "unet", ("s1", "s2")),
        )
        for number in numbers
    }
    first = active_runs(tmp_path)
    assert set(first) == keys
    assert {path.name for path in (folder / "trials").iterdir()} == keys
    for key in keys:
        left = {path.name for path in (folder / "trials" / key).iterdir()}
        assert "result.json" in left
        assert "checkpoint.pt" not in left
        assert ("confusion.json" in left) == key.startswith("confirm")
        assert ("maps" in left) == (key.startswith("confirm") and key.endswith("s1"))
    budgets = [path.name for path in (folder / "budgets").iterdir()]
    assert sorted(budgets) == sorted(
        f"s{seed}-f{fraction}.{kind}"
        for seed in range(3) for fraction in ("0.50", "1.00") for kind in ("json", "png")
    )  # fmt: skip
    assert yaml.safe_load((folder / "study.yaml").read_text())["config"]["name"] == "whole"
    (table,) = folder.rglob("comparison.csv")
    rows = list(csv.DictReader(table.open()))
    assert [(float(row["label_frac"]), row["model"]) for row in rows] == [
        (0.5, "unet"), (0.5, "urec"), (1.0, "unet"), (1.0, "urec"),
    ]  # fmt: skip
    assert {row["num_seeds"] for row in rows} == {"2"}

    before = table.read_bytes()
    left = folder / "trials" / min(keys) / "checkpoint.pt"
    left.touch()  # as by a trial that was killed before it removed it
    done = run_command(tmp_path, "--config", str(folder / "study.yaml"))
    assert done.returncode == 0, done.stderr
    assert not left.exists()
    assert active_runs(tmp_path) == first
    assert table.read_bytes() == before

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert run_study.main(["--config", str(file), "--trials", "3"]) == 2
    shown = capsys.readouterr().err
    assert "trials: 2 -> 3" in shown.splitlines()[-1]
    assert "Traceback" not in shown
    assert active_runs(tmp_path) == first
    assert table.read_bytes() == before


NAN_AT_W1_03 = """
import math
import trainables.training.schedule as schedule
usual = schedule.learning_rate
schedule.learning_rate = lambda training, step: math.nan if training.w1 == 0.3 else usual(
    training, step
)
"""


@pytest.mark.slow
def test_failed_trials_are_retried_told_and_do_not_stop_the_study(
    tiny_folder, tiny_training, mlflow_database, tmp_path
):
    """One setting of U-REC gives NaN at every attempt."""
    shutil.copy(mlflow_database, tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(NAN_AT_W1_03)
    file = tmp_path / "tiny.yaml"
    options = {
        "data": str(tiny_folder), "name": "whole", "space": "w1=0.05/0.3,label_frac=1",
        "sampler": "grid", "seeds": 2, "retries": 1, "checkpoint_every_s": 0,
    }  # fmt: skip
    file.write_text(yaml.safe_dump({**tiny_training, **options}))
    found_first = os.pathsep.join([str(tmp_path / "broken"), str(COMMAND.parent)])
    done = run_command(tmp_path, "--config", str(file), PYTHONPATH=found_first)
    assert done.returncode == 1, done.stderr
    assert "1 of 6 trials failed" in done.stdout
    assert "Traceback" not in done.stderr

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("whole")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert len(runs) == 1 + 6
    assert {"U-REC, 100 %, seed 1", "U-Net, 100 %, seed 1"} <= runs.keys()
    assert runs["whole"].data.tags["num_failed"] == "1"
    (failed,) = (run for run in runs.values() if run.info.status == "FAILED")
    assert failed.data.params["w1"] == "0.3"
    assert failed.data.tags["attempts"] == "2"
    path = client.download_artifacts(failed.info.run_id, "traceback.txt", str(tmp_path))
    assert "FloatingPointError: loss must be finite" in Path(path).read_text()
    chosen = {runs[f"U-REC, 100 %, seed {seed}"].data.params["w1"] for seed in (1, 2)}
    assert chosen == {"0.05"}

    models = list((tmp_path / "studies" / "whole" / "trials").glob("*/model.pt"))
    assert sorted(path.parent.name[:-1] for path in models) == [
        "confirm-unet-f1.00-s", "confirm-urec-f1.00-s",
    ]  # fmt: skip
    assert not list((tmp_path / "studies" / "whole" / "trials").glob("*/checkpoint*"))


def test_stopped_study_is_not_called_finished(make_config, store, monkeypatch, tmp_path):
    """Tune takes Ctrl-C for an end like any other; the study was recorded as finished, exit 0.

    What an earlier run of the command measured with --profile is recorded by one without, too.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machines, "ray_on_this_machine", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(runner, "run_with_tune", lambda *arguments: None)
    monkeypatch.setattr(ray, "put", lambda held: held)
    config = make_config(name="stopped", tracking_uri=store)
    config.folder.mkdir(parents=True)
    (config.folder / TIMES).write_text('{"sessions": [{"slots": 2, "wall_s": 3.5}]}')
    with pytest.raises(KeyboardInterrupt):
        runner.run_study(config)
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("stopped")
    (parent,) = client.search_runs([experiment.experiment_id])
    assert (parent.info.status, parent.data.tags["status"]) == ("KILLED", "stopped")
    assert parent.data.metrics["time/wall_s"] == 3.5
