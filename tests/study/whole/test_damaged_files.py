"""Any one file of a study's folder is lost: the same command gives the same table, or says why."""

import contextlib
import io
import random
import shutil
from pathlib import Path

import pytest
import yaml

import run_study

NAME = "damaged"
SEARCHED, CONFIRMED = "search-urec-f1.00-t001", "confirm-urec-f1.00-s1"
CONTENTS = {"deleted": None, "emptied": b"", "random": random.Random(0).randbytes(3000)}
KEY_FILES = (
    "study.yaml",
    "optuna.db",
    "times.json",
    "budgets/s1-f1.00.json",
    f"trials/{SEARCHED}/result.json",
    f"trials/{SEARCHED}/trial.json",
    f"trials/{SEARCHED}/failures.txt",
    f"trials/{CONFIRMED}/result.json",
)
"""Those that a study reads; the whole folder takes minutes."""


@pytest.fixture(scope="module")
def finished(patched, tiny_folder, mlflow_database, tmp_path_factory):
    """Runs a study; where it has run, a copy of its folder, its command's arguments, its table."""
    folder = tmp_path_factory.mktemp("whole")
    place, copy = folder / "here", folder / "copy"
    place.mkdir()
    shutil.copy(mlflow_database, place / "mlflow.db")
    options = {
        "data": str(tiny_folder), "name": NAME, "models": ["urec", "unet"],
        "space": "w1=0.05/0.3,label_frac=1", "sampler": "grid", "seeds": 2, "profile": True,
        "output": str(place / "studies"), "tracking_uri": f"sqlite:///{place / 'mlflow.db'}",
    }  # fmt: skip
    training = {
        "width": 2, "downsample": 1, "patch_px": 32, "sampling": "random", "batch_size": 2,
        "steps": 2, "warmup_steps": 1, "ema_decay": 0.0, "num_validations": 1,
        "infer_window_px": 64, "infer_step_px": 64,
    }  # fmt: skip
    (place / "config.yaml").write_text(yaml.safe_dump(options | training))
    arguments = ["--config", str(place / "config.yaml")]
    said = io.StringIO()
    with contextlib.chdir(place), contextlib.redirect_stdout(said):
        assert run_study.main(arguments) == 0
    shutil.copytree(place / "studies", copy)
    return place, copy, arguments, said.getvalue()


@pytest.fixture
def run_again(finished, capsys):
    """Damages files of the finished study, and runs its command again."""
    place, copy, arguments, _ = finished

    def run(**damages):
        shutil.rmtree(place / "studies")  # MLflow has its database open, and is no part of it
        shutil.copytree(copy, place / "studies")
        for name, content in damages.items():
            file = place / "studies" / NAME / name
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
        capsys.readouterr()
        with contextlib.chdir(place):
            status = run_study.main(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()

    return run


@pytest.fixture
def table(finished):
    assert finished[3].count("\n") == 4
    return finished[3]


def check(run_again, table, name, how):
    """The same table, or one line with the file and what to do."""
    status, said, lines = run_again(**{name: CONTENTS[how]})
    if status == 0:
        assert said == table, f"{name} {how}: {lines}"
        return
    assert said == ""
    refusal = lines[-1]
    assert refusal.startswith("run_study.py: "), (name, how, lines)
    assert Path(name).name in refusal, (name, how, refusal)
    assert ";" in refusal, f"what to do, in {refusal!r}"


@pytest.mark.parametrize("name", KEY_FILES)
def test_a_study_that_loses_a_file(run_again, table, name):
    check(run_again, table, name, "random")


@pytest.mark.slow
@pytest.mark.parametrize("how", CONTENTS)
def test_a_study_that_loses_any_one_file(finished, run_again, table, how):
    folder = finished[1] / NAME
    names = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    ours = [
        name.as_posix() for name in names
        if name.parts[0] != "trials" or name.parts[1] in (SEARCHED, CONFIRMED)
    ]  # fmt: skip
    assert {"study.yaml", "times.json", f"trials/{CONFIRMED}/model.pt"} <= set(ours)
    for name in ours:
        check(run_again, table, name, how)


def test_what_was_lost_is_said_and_made_again(run_again, table, finished):
    lost = {f"trials/{SEARCHED}/{name}": b"" for name in ("result.json", "trial.json")}
    status, said, lines = run_again(**lost, **{"optuna.db": b"x"})
    assert (status, said) == (0, table)
    told = [line for line in lines if line.startswith("note: ")]
    notes = [line for line in told if SEARCHED in line or "optuna.db" in line]
    assert len(notes) == 4, "three files, and values that are drawn anew"
    kept = finished[0] / "studies" / NAME
    assert (kept / "optuna.db.damaged").read_bytes() == b"x"
    assert (kept / "trials" / SEARCHED / "result.json").stat().st_size > 100
