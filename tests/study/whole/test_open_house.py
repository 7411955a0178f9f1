"""A network, a method, a searched integer and a compared choice that the code does not know."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

HERE = Path(__file__).parent
COMMAND = HERE.parents[2] / "run_study.py"
VARIANTS = ("unet", "pyramid-activation-gelu", "pyramid-activation-relu")
LABELS = ("U-Net", "Pyramid, activation gelu", "Pyramid, activation relu")


@pytest.fixture(scope="module")
def study(tiny_folder, tiny_training, mlflow_database, tmp_path_factory) -> Path:
    """Folder in which the command was run, with a study of its own network."""
    folder = tmp_path_factory.mktemp("open")
    shutil.copy(mlflow_database, folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**tiny_training, "data": str(tiny_folder)}))
    run = subprocess.run(
        [sys.executable, COMMAND, "--config", "tiny.yaml", "--models", "unet,pyramid:METHOD",
         "--space", "depth=1..3,label_frac=0.1/1", "--compare", "activation=relu/gelu",
         "--trials", "3", "--seeds", "2", "--name", "open"],
        cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{HERE.parents[2]}{os.pathsep}{HERE}"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert all(word in run.stdout for label in LABELS for word in label.split())
    return folder


@pytest.mark.slow
def test_every_variant_has_its_rows_curves_and_tests(study):
    report = study / "studies" / "open" / "report"
    with (report / "tables" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    arms = [(float(row["label_frac"]), row["model"]) for row in rows]
    assert sorted(arms) == sorted((frac, name) for frac in (0.1, 1.0) for name in VARIANTS)
    page = (report / "index.html").read_text()
    assert all(label in page for label in LABELS)
    for curve in (report / "figures" / "label_scarcity.svg",):
        drawn = curve.read_text()
        assert all(label in drawn for label in LABELS)
    with (report / "tables" / "differences.csv").open() as file:
        compared = {
            (row["model"], row["minus"], float(row["label_frac"]))
            for row in csv.DictReader(file)
            if row["measure"] == "mean_f1"
        }
    assert {(name, "unet", frac) for name in VARIANTS[1:] for frac in (0.1, 1.0)} <= compared


@pytest.mark.slow
def test_what_was_searched_is_shown(study):
    report = study / "studies" / "open" / "report"
    page = (report / "index.html").read_text()
    assert "levels of the pyramid" in page
    with (report / "figures" / "isolation_depth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["model"] for row in rows} == set(VARIANTS[1:]), "U-Net has no such parameter"
    tried = {row["value"] for row in rows}
    assert tried <= {"1", "2", "3"}
    assert len(tried) > 1


@pytest.mark.slow
def test_runs_carry_what_their_method_has(study):
    client = MlflowClient(tracking_uri=f"sqlite:///{study / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "open"]
    runs = client.search_runs([experiment.experiment_id], max_results=500)
    runs = [run for run in runs if "trial_key" in run.data.tags]
    assert len(runs) == 2 * (3 + 3 + 3 * 2), "two fractions"
    for run in runs:
        own = {"depth", "activation", "w1"} & set(run.data.params)
        is_own = run.data.tags["model"] == "pyramid"
        assert own == ({"depth", "activation", "w1"} if is_own else set())
    recorded = yaml.safe_load((study / "studies" / "open" / "study.yaml").read_text())
    assert [one["name"] for one in recorded["variants"]] == list(VARIANTS)


@pytest.mark.slow
def test_the_network_is_applied_to_other_images(study, tiny_folder):
    image = tiny_folder / "images" / "c1.tif"
    model = study / "studies" / "open" / "trials" / "confirm-pyramid-activation-gelu-f1.00"
    run = subprocess.run(
        [sys.executable, "-m", "trainables.predict", "--model", model, "--out", "maps", image],
        cwd=study, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": f"{HERE.parents[2]}{os.pathsep}{HERE}"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert list((study / "maps").glob("*_classes.tif"))
