"""A whole study whose search has two seeds, in this process without Ray."""

import shutil
from pathlib import Path

import pytest
import yaml
from ray.tune.search import Searcher

import run_study
from analysis.page.report import make_report
from analysis.reading.sources.load import load_study
from analysis.search.choices import arm_choices
from analysis.search.search_table import search_results
from study import runner
from tests.study.whole.conftest import run_without_ray

KEYS = {f"search-urec-f1.00-t00{number}-s{seed}" for number in (0, 1) for seed in (0, 1_000_001)}


class KilledError(Exception):
    """Stands for the loss of the driver."""


@pytest.fixture
def place(patched, tiny_folder, mlflow_database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(mlflow_database, tmp_path / "mlflow.db")
    options = {
        "data": str(tiny_folder), "name": "seeds", "space": "w1=0.05/0.3,label_frac=1",
        "sampler": "grid", "seeds": 2, "search_seeds": 2,
        "tracking_uri": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "width": 4, "downsample": 1, "patch_px": 32, "sampling": "random", "batch_size": 2,
        "steps": 4, "warmup_steps": 1, "ema_decay": 0.0, "num_validations": 2,
        "infer_window_px": 64, "infer_step_px": 64,
    }  # fmt: skip
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(options))
    return tmp_path


@pytest.mark.slow
def test_a_study_with_two_seeds_of_the_search(place: Path, monkeypatch, capsys):
    given_out = []

    def killed_after_three(config, searcher, *others):
        suggest = searcher.suggest

        def counted(trial_id):
            if len(given_out) == 3:
                raise KilledError
            given = suggest(trial_id)
            given_out.append(given)
            return given

        searcher.suggest = counted
        run_without_ray(config, searcher, *others)

    monkeypatch.setattr(runner, "run_with_tune", killed_after_three)
    with pytest.raises(KilledError):
        run_study.main(["--config", "config.yaml"])
    assert Searcher.FINISHED not in given_out
    monkeypatch.setattr(runner, "run_with_tune", run_without_ray)
    assert run_study.main(["--config", "config.yaml"]) == 0
    capsys.readouterr()

    folder = place / "studies" / "seeds"
    trials = {path.name for path in (folder / "trials").iterdir()}
    assert {key for key in trials if key.startswith("search-urec")} == KEYS
    assert len(trials) == 4 + 2 + 2, "U-Net has nothing to choose"
    manifest = yaml.safe_load((folder / "study.yaml").read_text())
    assert manifest["search"]["seeds"] == [0, 1_000_001]
    assert manifest["search"]["choice"] == "simplest"
    assert "one standard error" in manifest["search"]["rule"]
    assert manifest["search"]["simplest"] == {"w1": 0.1}
    budgets = {path.stem for path in (folder / "budgets").glob("*.json")}
    assert budgets == {f"s{seed}-f1.00" for seed in (0, 1_000_001, 1, 2)}

    record = load_study("seeds", f"sqlite:///{place / 'mlflow.db'}")
    (choice,) = arm_choices(record)
    assert (choice.variant, choice.num_seeds, choice.num_settings) == ("urec", 2, 2)
    results = search_results(record).set_index("model")
    confirmed = record.trials[record.trials["trial_key"].str.startswith("confirm-urec")]
    assert set(confirmed["w1"]) == {results.loc["urec", "w1"]}, "both rooms choose alike"
    page = make_report("seeds", tracking_uri=f"sqlite:///{place / 'mlflow.db'}").index
    assert page is not None
    assert "How often another seed would have chosen otherwise" in page.read_text()

    assert run_study.main(["--config", "config.yaml", "--search-seeds", "3"]) == 2
    assert "search_seeds: 2 -> 3" in capsys.readouterr().err
