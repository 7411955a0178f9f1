"""What somebody who browses a whole study finds in MLflow and in Optuna's database."""

import json
import shutil

import mlflow
import numpy as np
import optuna
import pytest
import yaml
from mlflow.tracking import MlflowClient

import run_study
from analysis.reading.sources.load import load_study
from contract.mlflow_store.artifact_uri import local_folder

TRAINING = {
    "width": 4, "downsample": 1, "patch_px": 32, "sampling": "random", "batch_size": 2,
    "steps": 4, "warmup_steps": 1, "ema_decay": 0.0, "num_validations": 2, "infer_window_px": 64,
    "infer_step_px": 64, "trials": 2, "seeds": 2, "space": "w1,label_frac=1",
}  # fmt: skip


@pytest.fixture(scope="module")
def place(patched, tiny_folder, mlflow_database, tmp_path_factory):
    """Folder of a study that has ended."""
    folder = tmp_path_factory.mktemp("browsed")
    shutil.copy(mlflow_database, folder / "mlflow.db")
    options = {
        "data": str(tiny_folder), "output": str(folder / "studies"), "name": "town",
        "tracking_uri": f"sqlite:///{folder / 'mlflow.db'}",
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(options | TRAINING))
    for _ in range(2):  # the second finds everything done, and writes nothing twice
        assert run_study.main(["--config", str(folder / "config.yaml")]) == 0
    return folder


@pytest.fixture(scope="module")
def runs(place):
    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("town")
    found = client.search_runs([experiment.experiment_id], "tags.phase != 'study'")
    return {run.data.tags["trial_key"]: run for run in found}


def test_each_arm_has_one_model_whose_weights_lie_on_the_disk_once(place, runs):
    kept = {file.parent.name: file for file in place.glob("studies/town/trials/*/model.pt")}
    logged = {key: run.outputs.model_outputs for key, run in runs.items()}
    logged = {key: outputs for key, outputs in logged.items() if outputs}
    assert logged.keys() == kept.keys()
    assert {runs[key].data.tags["model"] for key in logged} == {"urec", "unet"}
    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    for key, (output,) in logged.items():
        model = client.get_logged_model(output.model_id)
        assert model.source_run_id == runs[key].info.run_id
        folder = local_folder(model.artifact_location)
        assert (folder / "data" / "model.pt").samefile(kept[key])
        served = mlflow.pyfunc.load_model(str(folder))
        classes = served.predict(np.zeros((3, 40, 50), np.uint8))
        assert (classes.shape, classes.dtype) == ((40, 50), np.uint8)


def test_no_number_that_analysis_reads_is_lost_with_the_metrics(place, runs):
    trials = load_study("town", f"sqlite:///{place / 'mlflow.db'}").trials.set_index("trial_key")
    columns = {
        "annotated_px": "budget/annotated_px", "with_val_frac": "budget/with_val_frac",
        "eval_s": "perf/eval_s", "workers": "perf/workers", "select_step": "select/step",
    }  # fmt: skip
    for key, run in runs.items():
        assert len(run.data.metrics) < 30
        told = place / "studies" / "town" / "trials" / key / "result.json"
        measures = json.loads(told.read_text())["metrics"]
        for column, name in columns.items():
            assert trials.loc[key, column] == measures[name]


def test_every_run_says_on_what_it_was_trained(runs):
    used = {
        (one.dataset.name, one.dataset.digest)
        for run in runs.values()
        for one in run.inputs.dataset_inputs
    }
    assert len(used) == 1
    assert all(len(run.inputs.dataset_inputs) == 1 for run in runs.values())


def test_optuna_leads_to_the_runs(place, runs):
    url = f"sqlite:///{place / 'studies' / 'town' / 'optuna.db'}"
    assert sorted(optuna.get_all_study_names(url)) == ["U-REC, 100 %"]
    searched = optuna.load_study(study_name="U-REC, 100 %", storage=url)
    assert searched.metric_names == ["val/mean_f1"]
    for trial in searched.trials:
        run = runs[trial.user_attrs["trial_key"]]
        assert trial.user_attrs["mlflow_run"] == run.info.run_id
        assert run.data.metrics["select/mean_f1"] == pytest.approx(trial.value)
        assert len(trial.intermediate_values) == 2
        last = int(run.data.params["steps"])
        assert trial.intermediate_values[last] == pytest.approx(run.data.metrics["val/mean_f1"])
