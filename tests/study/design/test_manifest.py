"""study.yaml: what a reviewer needs to repeat a study."""

import os
import subprocess
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
import yaml

from contract.parameters import PARAMETERS
from contract.protocol.choice import RULES
from contract.variants import Variant
from study.design import manifest as provenance
from study.design.budgets.drawing import draw_budgets
from study.design.manifest import read_manifest, search_manifest, study_manifest, write_manifest
from study.design.preflight import find_dataset, read_data
from study.settings.config import build_config


@pytest.fixture
def manifest(make_config, monkeypatch):
    monkeypatch.setattr(provenance, "current_commit", lambda: "abc")
    config = make_config(space="w1=0.01..0.5,label_frac=0.5", compare="augment", seeds=3)
    spec = find_dataset(config)
    data = read_data(config, spec)
    budgets = draw_budgets(config, data)
    return study_manifest(config, data, budgets), config, data, budgets.train[3, 0.5, "random"][0]


def test_content(manifest):
    content, config, data, budget = manifest
    assert list(content) == [
        "study_id", "config", "looks", "methods", "variants", "parameters", "search", "dataset",
        "budgets", "val_budgets", "equal_budgets", "provenance",
    ]  # fmt: skip
    assert content["config"] == config.to_plain()
    assert content["dataset"]["name"] == "tiny"
    assert content["dataset"]["classes"][0]["name"] == "land"
    assert content["dataset"]["splits"] == {
        "train": ["a1", "a2", "a3", "a4"],
        "val": ["b1"],
        "test": ["c1", "c2"],
    }
    assert content["dataset"]["checksums"] == {
        split: tiles.checksum for split, tiles in data.tiles.items()
    }
    assert content["dataset"]["scaling"] == {
        "dtype": "uint8",
        "low": [0.0, 0.0, 0.0],
        "high": [255.0, 255.0, 255.0],
    }
    assert content["dataset"]["eroded_reference"] == "full reference"
    assert [one["seed"] for one in content["budgets"]] == [0, 1, 2, 3]
    assert (content["val_budgets"], content["equal_budgets"]) == ([], [])
    entry = content["budgets"][3]
    assert (entry["seed"], entry["fraction_asked"], entry["checksum"]) == (3, 0.5, budget.checksum)
    assert sum(entry["class_px"]) == entry["annotated_px"] <= 0.5 * 4 * 80 * 96


def test_the_rule_of_the_choice_is_told_with_its_seeds(make_config):
    config = make_config(space="w1,label_frac=1", w1=0.3)
    assert search_manifest(config) == {
        "seeds": [0], "choice": "best", "rule": RULES["best"], "simplest": {"w1": 0.1},
    }  # fmt: skip
    several = search_manifest(replace(config, search_seeds=2))
    assert several["seeds"] == [0, 1_000_001]
    assert several["rule"] == RULES[several["choice"]] == RULES["simplest"]


def test_what_was_compared_is_told_without_this_codes_tables(manifest):
    content, config, _, _ = manifest
    assert content["methods"][1] == {
        "name": "unet", "label": "U-Net", "network": "unet", "unannotated": "nothing",
        "is_baseline": True,
    }  # fmt: skip
    assert [Variant.from_plain(one) for one in content["variants"]] == list(config.variants)
    assert content["parameters"] == [
        {
            "name": "w1", "label": PARAMETERS["w1"].label, "kind": "float", "log": True,
            "lowest": 0, "highest": 1,
            "role": "searched", "domain": "0.01..0.5",
            "unannotated": ["reconstruction", "reconstruction-and-pseudo-labels"],
            "methods": ["urec"],
        },
        {
            "name": "label_frac", "label": "annotation fraction", "kind": "float", "log": False,
            "lowest": 0, "highest": 1,
            "role": "compared", "domain": "0.5", "unannotated": None, "methods": ["urec", "unet"],
        },
        {
            "name": "augment", "label": "augmentation", "kind": "yes/no", "log": False,
            "lowest": None, "highest": None,
            "role": "compared", "domain": "no/yes", "unannotated": None,
            "methods": ["urec", "unet"],
        },
    ]  # fmt: skip


def test_versions_and_machine(manifest):
    found = manifest[0]["provenance"]
    assert found["commit"] == "abc"
    for package in ("torch", "ray", "optuna", "mlflow", "rasterio", "numpy"):
        assert found["versions"][package] == version(package)
    assert found["python"].startswith("3.")
    assert found["hardware"]["cpus"] == os.cpu_count()
    assert found["hardware"]["memory_mib"] > 100
    assert isinstance(found["hardware"]["gpus"], list)
    assert found["hardware"]["instructions"] == torch.backends.cpu.get_cpu_capability()


def test_goes_through_the_file(manifest, tmp_path):
    content, config = manifest[:2]
    path = tmp_path / "s" / "study.yaml"
    assert read_manifest(path) is None
    write_manifest(path, content)
    assert read_manifest(path) == content
    assert list(path.parent.iterdir()) == [path]
    assert "!!" not in path.read_text(), "plain data only"
    read = yaml.safe_load(path.read_text())
    assert list(read) == list(content), "in reading order"
    assert build_config(read["config"]).to_plain() == config.to_plain()


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    command = ["git", "-C", str(folder), *identity, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_commit_of_this_code_alone(tmp_path, monkeypatch):
    source = tmp_path / "study" / "design" / "manifest.py"
    source.parent.mkdir(parents=True)
    source.write_text("1")
    monkeypatch.setattr(provenance, "__file__", str(source))
    assert provenance.current_commit() is None, "outside a checkout"
    git(tmp_path, "init", "--quiet")
    assert provenance.current_commit() is None, "installed inside somebody else's checkout"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    head = git(tmp_path, "rev-parse", "HEAD")
    assert provenance.current_commit() == head
    (tmp_path / "mlflow.db").write_text("results are no change of the code")
    assert provenance.current_commit() == head
    source.write_text("2")
    assert provenance.current_commit() == f"{head}+changes"


def test_commit_without_git(monkeypatch):
    def missing(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(provenance.subprocess, "run", missing)
    assert provenance.current_commit() is None


def test_package_that_is_not_installed_has_no_version():
    assert provenance._version("no-such-package-of-ours") is None


def test_other_versions_in_a_continued_study_are_noted_once(manifest, tmp_path, monkeypatch):
    content, _ = manifest[:2]
    path = tmp_path / "study.yaml"
    write_manifest(path, content)
    provenance.note_continuation(path, content)
    assert "continued" not in read_manifest(path)
    monkeypatch.setattr(provenance, "current_commit", lambda: "def")
    for _ in range(2):
        provenance.note_continuation(path, read_manifest(path))
    (note,) = read_manifest(path)["continued"]
    assert note == content["provenance"] | {"commit": "def"}
    assert read_manifest(path)["provenance"] == content["provenance"]


def test_a_study_that_goes_on_with_other_instructions_says_so(manifest, tmp_path, monkeypatch):
    content, _ = manifest[:2]
    path = tmp_path / "study.yaml"
    assert provenance.processor_note(path) is None
    first = content["provenance"]
    older = {name: value for name, value in first.items() if name != "hardware"}
    for known in (first, older):
        write_manifest(path, content | {"provenance": known})
        provenance.note_continuation(path, read_manifest(path))
        assert provenance.processor_note(path) is None
    write_manifest(path, content)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SVE256")
    for _ in range(2):
        provenance.note_continuation(path, read_manifest(path))
        note = provenance.processor_note(path)
        assert f"with {first['hardware']['instructions']} and SVE256, which round" in note


def test_login_that_an_earlier_version_wrote_is_removed_when_the_study_goes_on(manifest, tmp_path):
    content, _ = manifest[:2]
    path = tmp_path / "study.yaml"
    content["config"]["tracking_uri"] = "http://me:s3cret@host"
    write_manifest(path, content)
    cleaned = provenance.remove_login(path, content)
    assert cleaned["config"]["tracking_uri"] == "http://host"
    assert read_manifest(path) == cleaned
    assert "s3cret" not in path.read_text()
    path.unlink()
    assert provenance.remove_login(path, cleaned) == cleaned
    assert not path.exists(), "nothing to remove, nothing to write"
