"""Studies with a pretrained encoder from a folder, without any hub."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from mlflow.tracking import MlflowClient

import run_study
from study.settings.variation import find_methods
from trainables.networks.encoders.reading import read_encoder

COMMAND = Path(run_study.__file__)


@pytest.fixture
def place(tmp_path, monkeypatch, mlflow_database):
    """A folder to run commands in."""
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def forget():
    """Lets the next command of this process read encoders again."""

    def clear():
        find_methods.cache_clear()
        read_encoder.cache_clear()

    return clear


def _config(place, data, training, **options):
    given = {
        **training, "data": str(data), "seeds": 1, "name": "mine", "space": "label_frac=1",
        "output": str(place / "studies"), "tracking_uri": f"sqlite:///{place / 'mlflow.db'}",
    } | options  # fmt: skip
    (place / "mine.yaml").write_text(yaml.safe_dump(given))
    return ["--config", "mine.yaml"]


def test_the_record_holds_the_encoder_and_another_content_is_refused(
    place, patched, forget, write_encoder, tiny_folder, tiny_training, capsys
):
    folder = write_encoder("resnet", place / "net.1")
    models = ["unet", "urec:./net.1"]
    arguments = _config(
        place, tiny_folder, tiny_training, models=models, space="encoder_lr=0.1/1,label_frac=1",
        compare="encoder_weights=pretrained/random", sampler="grid",
    )  # fmt: skip
    assert run_study.main(arguments) == 0, capsys.readouterr().err
    record = yaml.safe_load((place / "studies/mine/study.yaml").read_text())
    assert record["config"]["models"] == models
    assert record["methods"][1] == {
        "name": "urec-net-1",
        "label": "U-REC, net.1",
        "network": "encoder-urec",
        "unannotated": "reconstruction",
        "is_baseline": False,
        "encoder": {"source": "./net.1", "checksum": read_encoder("./net.1").checksum},
    }
    assert "encoder" not in record["methods"][0]
    assert [one["name"] for one in record["variants"]] == [
        "unet", "urec-net-1-encoder_weights-pretrained", "urec-net-1-encoder_weights-random"
    ]  # fmt: skip
    by_name = {one["name"]: one["methods"] for one in record["parameters"]}
    assert by_name["encoder_lr"] == by_name["encoder_weights"] == ["urec-net-1"]
    key = "confirm-urec-net-1-encoder_weights-random-f1.00-s1"
    trial = json.loads((place / "studies/mine/trials" / key / "result.json").read_text())["trial"]
    assert (trial["network"], trial["encoder"]) == ("encoder-urec", "./net.1")
    client = MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
    (experiment,) = [e for e in client.search_experiments() if e.name == "mine"]
    runs = [run.data for run in client.search_runs([experiment.experiment_id])]
    params = {run.tags["trial_key"]: run.params for run in runs if "trial_key" in run.tags}
    assert (params[key]["encoder"], params[key]["encoder_weights"]) == ("./net.1", "random")
    assert "encoder_lr" in params[key]
    assert not any(name.startswith("encoder") for name in params["confirm-unet-f1.00-s1"])
    assert run_study.main(arguments) == 0

    before = read_encoder("./net.1").checksum[:12]
    shutil.rmtree(folder)
    write_encoder("resnet", folder, seed=1)
    forget()
    capsys.readouterr()
    assert run_study.main(arguments) == 2
    now = read_encoder("./net.1").checksum[:12]
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"(encoder of urec-net-1: {before}… -> {now}…)" in said
    assert run_study.main([*arguments, "--dry-run"]) == 2
    shutil.rmtree(folder)
    forget()


def test_what_cannot_be_used_is_one_line_and_nothing_is_written(
    place, write_encoder, tiny_folder, tiny_training, capsys
):
    (place / "empty").mkdir()
    for model, said in (
        ("unet:./empty", "./empty must hold a configuration, config.json, got none"),
        ("unet:./nowhere", "./nowhere must be a folder, or a model that Hugging Face's hub gives"),
        ("net:./empty", "METHOD:ENCODER or package.module:factory, got 'net:./empty'"),
    ):
        for more in ([], ["--dry-run"]):
            arguments = _config(place, tiny_folder, tiny_training, models=[model])
            assert run_study.main([*arguments, *more]) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert said in line
    assert not (place / "studies").exists()


def test_encoders_of_one_name_get_names_of_their_own(place, write_encoder):
    for owner in ("a", "b"):
        write_encoder("resnet", place / owner / "tiny", seed=ord(owner))
    found = find_methods(("unet", "urec:./a/tiny", "urec:b/tiny", "unet:b/tiny"))
    assert [one.name for one in found] == ["unet", "urec-a-tiny", "urec-b-tiny", "unet-tiny"]
    assert [one.label for one in found[1:3]] == ["U-REC, a/tiny", "U-REC, b/tiny"]
    assert len({read_encoder(str(one.encoder)).checksum for one in found[1:3]}) == 2


@pytest.mark.slow
def test_a_study_is_killed_goes_on_and_needs_the_folder_no_more(
    place, write_encoder, tiny_folder, tiny_training
):
    """Commands with Ray, which sends the encoder to the processes of its trials."""
    folder = write_encoder("convnextv2", place / "tiny")
    models = ["unet", f"urec:{folder}"]
    options = _config(place, tiny_folder, tiny_training, models=models, seeds=2)
    command = [sys.executable, str(COMMAND), *options]
    env = os.environ | {"PYTHONPATH": str(COMMAND.parent), "HF_HUB_OFFLINE": "1"}
    trials = place / "studies/mine/trials"
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, stderr=log, stdout=log, env=env, start_new_session=True)
        while process.poll() is None and not list(trials.glob("*/result.json")):
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = {path.parent.name for path in trials.glob("*/result.json")}
    assert 0 < len(done) < 2 + 4, (place / "log").read_text()
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "U-REC, tiny" in run.stdout
    report = place / "studies/mine/report"
    with (report / "tables/comparison.csv").open() as file:
        assert [row["model"] for row in csv.DictReader(file)] == ["unet", "urec-tiny"]
    assert "U-REC, tiny" in (report / "index.html").read_text()

    shutil.rmtree(folder)
    model, image = trials / "confirm-urec-tiny-f1.00", tiny_folder / "images" / "c1.tif"
    predict = [sys.executable, "-m", "trainables.predict", "--model", model, "--out", "maps", image]
    run = subprocess.run(predict, env=env, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert list((place / "maps").glob("*_classes.tif"))
