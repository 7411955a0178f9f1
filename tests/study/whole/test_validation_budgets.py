"""A study that chooses by as few validation labels as it has for training."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

COMMAND = Path(__file__).parents[3] / "run_study.py"


@pytest.mark.slow
def test_a_study_with_few_validation_labels_gives_both_shares(
    tiny_folder, tiny_training, mlflow_database, tmp_path
):
    shutil.copy(mlflow_database, tmp_path)
    options = {
        "data": str(tiny_folder), "name": "few", "models": ["unet"], "val_frac": "same",
        "space": "label_frac=0.25/1", "seeds": 1,
    }  # fmt: skip
    (tmp_path / "few.yaml").write_text(yaml.safe_dump({**tiny_training, **options}))
    done = subprocess.run(
        [sys.executable, COMMAND, "--config", "few.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "(--val-frac same), drawn in blocks" in done.stderr
    folder = tmp_path / "studies" / "few"
    with (folder / "report" / "tables" / "comparison.csv").open() as file:
        small, whole = csv.DictReader(file)
    budget, val = (
        json.loads((folder / "budgets" / f"{name}s1-f0.25.json").read_text())
        for name in ("", "val-")
    )
    assert float(small["reached_frac_mean"]) == pytest.approx(budget["fraction_reached"], rel=1e-4)
    assert float(small["val_reached_frac_mean"]) == pytest.approx(val["fraction_reached"], rel=1e-4)
    # Four tiles of training and one of validation, all of one size.
    both = (4 * budget["fraction_reached"] + val["fraction_reached"]) / 5
    assert float(small["with_val_frac_mean"]) == pytest.approx(both, rel=1e-4)
    assert whole["with_val_frac_mean"] == "1"
    page = (folder / "report" / "index.html").read_text()
    assert "of the validation tiles only annotated pixels choose weights and settings" in page
    assert "with validation" in done.stdout
