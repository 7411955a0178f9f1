"""`analysis` by itself: with what its extra names, and nothing else of the project's libraries."""

import json
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from analysis.reading.sources.export import write_export
from analysis.reading.sources.load import load_study

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NOT_NEEDED = ("torch", "ray", "rasterio", "mlflow", "study", "trainables")
OF_MLFLOW = {"mlflow-skinny", "sqlalchemy", "alembic"}
"""What `mlflow` of the main list brings, named apart where all of it is not wanted."""

BLOCKED_REPORT = """
import importlib.abc, json, sys
allowed, arguments, barred = set(json.loads(sys.argv[1])), json.loads(sys.argv[2]), set()

class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in allowed or top in sys.stdlib_module_names or top.startswith("_"):
            return None
        barred.add(top)
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Wall())
from analysis import __main__ as command
from analysis.findings.workers import InThisProcess
command.worker_processes = InThisProcess  # charts are drawn behind the wall, too
code = command.main(arguments)
loaded = {name.partition(".")[0] for name in sys.modules}
print(json.dumps({"code": code, "loaded": sorted(loaded), "barred": sorted(barred)}))
"""


def named(requirements: list[str]) -> dict[str, Requirement]:
    parsed = map(Requirement, requirements)
    return {canonicalize_name(one.name): one for one in parsed}


def installed_with(requirements: list[str]) -> set[str]:
    """Canonical names of the distributions that these pull in, themselves included."""
    found: set[str] = set()
    waiting = list(named(requirements))
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for text in metadata.requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(requirement.name))
    return found


def modules_of(distributions: set[str]) -> set[str]:
    """Top-level modules that these distributions install."""
    return {
        module
        for module, owners in metadata.packages_distributions().items()
        if {canonicalize_name(owner) for owner in owners} & distributions
    }


@cache
def modules_of_the_extra() -> frozenset[str]:
    return frozenset(modules_of(installed_with(PROJECT["optional-dependencies"]["analysis"])))


def test_extra_repeats_the_bounds_of_the_main_list() -> None:
    main = named(PROJECT["dependencies"])
    extras = PROJECT["optional-dependencies"]
    for name, requirement in named(extras["analysis"]).items():
        assert name in main
        assert (requirement.specifier, requirement.extras) == (main[name].specifier, set())
    reading = named(extras["analysis-mlflow"])
    assert set(reading) == OF_MLFLOW
    assert reading["mlflow-skinny"].specifier == main["mlflow"].specifier
    of_mlflow = named([text for text in metadata.requires("mlflow") or () if "extra" not in text])
    assert set(of_mlflow) >= OF_MLFLOW


def test_extra_pulls_in_nothing_that_it_stands_apart_from() -> None:
    modules = modules_of_the_extra()
    assert {"pandas", "matplotlib", "pyarrow", "sklearn", "yaml", "PIL", "optuna"} <= modules
    assert not modules & set(NOT_NEEDED)


@pytest.fixture(scope="module")
def exported(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_export(load_study("full", store), tmp_path_factory.mktemp("alone") / "x.parquet")


def run_behind_the_wall(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    allowed = modules_of_the_extra() | {"analysis", "contract"}
    texts = (json.dumps(sorted(allowed)), json.dumps(arguments))
    return subprocess.run(
        [sys.executable, "-c", BLOCKED_REPORT, *texts], cwd=ROOT, capture_output=True, text=True
    )


def test_report_of_a_file_needs_no_module_outside_the_extra(exported: Path, tmp_path: Path) -> None:
    done = run_behind_the_wall(["report", str(exported), "--out", str(tmp_path)])
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] == 0
    assert not set(said["loaded"]) & set(NOT_NEEDED)
    page = (tmp_path / "index.html").read_text()
    assert "U-REC" in page
    assert "pictures of maps and of budgets are not part of it" in page
    assert (tmp_path / "tables" / "comparison.csv").is_file()


def test_wall_bars_mlflow_which_is_then_said_in_one_line(store: str, tmp_path: Path) -> None:
    done = run_behind_the_wall(["report", "full", "--tracking-uri", store, "--out", str(tmp_path)])
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["code"] == 2
    assert "mlflow" in said["barred"]
    assert done.stderr.count("\n") == 1
    assert "MLflow must be installed" in done.stderr


@pytest.mark.slow
def test_report_is_made_where_only_the_extra_is_installed(exported: Path, tmp_path: Path) -> None:
    """A virtual environment, pip, the project without its dependencies, and the command."""
    copy = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    for part in ("contract", "analysis", "study", "trainables"):
        shutil.copytree(ROOT / part, copy / part, ignore=ignored)
    for part in ("pyproject.toml", "README.md", "LICENSE", "run_study.py"):
        shutil.copy(ROOT / part, copy / part)
    # pip from outside: a copy of its own takes longer than the rest of the environment
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip: list[str | Path] = [
        sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check",
        "install", "--quiet", "--no-compile",
    ]  # fmt: skip
    subprocess.run([*pip, *PROJECT["optional-dependencies"]["analysis"]], check=True)
    subprocess.run([*pip, "--no-deps", copy], check=True)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [python, "-I", *arguments]  # neither PYTHONPATH nor the current folder
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    for name in ("torch", "ray", "rasterio", "mlflow"):
        assert "ModuleNotFoundError" in run("-c", f"import {name}").stderr
    where = run("-c", "import analysis; print(analysis.__file__)").stdout
    assert str(tmp_path / "venv") in where
    done = run("-m", "analysis", "report", exported, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    made = (tmp_path / "report" / "index.html").read_text()
    assert "U-REC" in made
    from_mlflow = run("-m", "analysis", "report", "full", "--tracking-uri", "http://nowhere")
    assert from_mlflow.returncode == 2
    assert "MLflow must be installed" in from_mlflow.stderr
