"""What a reviewer needs to repeat a study: versions, machine, data, budgets, configuration."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import uuid
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import yaml

from contract.methods import Method
from contract.mlflow_store.logins import holds_login, without_login
from contract.names import DISTRIBUTION
from contract.protocol.choice import RULES, rule_of
from contract.protocol.looks import plan_looks
from contract.space import Varied
from study.design.arms import confirm_trial, plan_arms, search_seeds, simplest_setting
from study.design.budgets.study_budgets import Budgets, Drawn
from study.design.compute import flop_of_step
from study.design.preflight import StudyData
from study.settings.config import StudyConfig
from trainables.data.layouts.spec import color_text
from trainables.errors import ConfigError
from trainables.networks.encoders.reading import read_encoder
from trainables.storage.atomic_files import write_atomically

ADVICE: Final = (
    "put the copy back that the study's run in MLflow holds among its artifacts, or choose "
    "another --name"
)
"""What to do where `study.yaml` is lost."""
_PACKAGES: Final = (
    DISTRIBUTION, "torch", "ray", "optuna", "mlflow", "rasterio", "numpy", "scipy", "pandas",
    "seaborn", "transformers",
)  # fmt: skip


def study_manifest(config: StudyConfig, data: StudyData, budgets: Budgets) -> dict[str, Any]:
    """Content of `study.yaml`.

    Returns:
        `study_id`, `config`, `looks`, `methods`, `variants`, `parameters`, `search`, `dataset`,
        `budgets`, `val_budgets`, `equal_budgets`, `provenance` and, where trials spend equal
        compute, `compute`; readers need no table of this code's methods and parameters.
    """
    compute = compute_manifest(config)
    return {
        "study_id": uuid.uuid4().hex,
        "config": config.to_plain(),
        "looks": [look.to_plain() for look in plan_looks(config.planned_looks)],
        "methods": [method_manifest(one) for one in config.methods],
        "variants": [one.to_plain() for one in config.variants],
        "parameters": [_parameter(config, one) for one in (*config.varied, *config.compared)],
        "search": search_manifest(config),
        "dataset": dataset_manifest(data),
        "budgets": [
            _budget(data, drawn)
            | ({"minutes": budgets.minutes[key]} if key in budgets.minutes else {})
            for key, drawn in budgets.train.items()
        ],
        "val_budgets": [_budget(data, one) for one in budgets.val.values()],
        "equal_budgets": [one.to_plain() for one in budgets.equal],
        "provenance": current_provenance(),
    } | ({} if compute is None else {"compute": compute})


def _budget(data: StudyData, drawn: Drawn) -> dict[str, Any]:
    """What a reader of the study must know of a budget; its manifest has the rest."""
    budget, _ = drawn
    return {
        "seed": budget.seed,
        "fraction_asked": budget.fraction_asked,
        "fraction_reached": budget.fraction_reached,
        "annotated_px": budget.annotated_px,
        "class_px": list(budget.class_px),
        "classes_without_annotation": [
            data.spec.classes[index].name for index in budget.empty_classes
        ],
        "exceeds_asked": budget.exceeds,
        "labels": budget.labels,
        "order": budget.unit.order,
        "joined_blocks": budget.joined,
        "checksum": budget.checksum,
    }


def method_manifest(method: Method) -> dict[str, Any]:
    """What a method is, its pretrained encoder included; a continued study must not change it."""
    manifest: dict[str, Any] = {
        "name": method.name,
        "label": method.label,
        "network": method.network,
        "unannotated": method.unannotated,
        "is_baseline": method.is_baseline,
    }
    if method.encoder is not None:
        manifest["encoder"] = {
            "source": method.encoder,
            "checksum": read_encoder(method.encoder).checksum,
        }
    return manifest


def search_manifest(config: StudyConfig) -> dict[str, Any]:
    """With which seeds a search tries its settings, and by which rule it chooses one."""
    seeds = search_seeds(config)
    rule = rule_of(len(seeds))
    return {
        "seeds": list(seeds),
        "choice": rule,
        "rule": RULES[rule],
        "simplest": simplest_setting(config),
    }


def compute_manifest(config: StudyConfig) -> dict[str, Any] | None:
    """What every trial spends, and how many steps of each variant that is; None for equal steps.

    Returns:
        `flop` of a trial's training, and `variants`: `name`, `steps` and `flop_per_step`, at the
        values that are not searched.
    """
    budget = config.compute
    if budget is None:
        return None
    trials = {arm.variant.name: confirm_trial(config, arm, 0, {}) for arm in plan_arms(config)}
    return {
        "flop": budget.flop,
        "variants": [
            {
                "name": name,
                "steps": trial.training.steps,
                "flop_per_step": flop_of_step(trial, budget.num_bands, budget.num_classes),
            }
            for name, trial in trials.items()
        ],
    }


def _parameter(config: StudyConfig, varied: Varied) -> dict[str, Any]:
    """What varies, and over what; `unannotated` is None where every use of such pixels has it."""
    one = varied.parameter
    return {
        "name": one.name,
        "label": one.label,
        "kind": one.kind,
        "log": one.log,
        "lowest": None if math.isinf(one.lowest) else one.lowest,
        "highest": None if math.isinf(one.highest) else one.highest,
        "role": "searched" if varied in config.searched else "compared",
        "domain": varied.domain,
        "unannotated": None if one.unannotated is None else list(one.unannotated),
        "methods": [method.name for method in config.methods if method.has(one)],
    }


def dataset_manifest(data: StudyData) -> dict[str, Any]:
    """What the data set is: everything that scores depend on."""
    spec = data.spec
    return {
        "name": spec.name,
        "bands": list(spec.bands),
        "gsd_m": spec.gsd_m,
        "nodata": list(spec.nodata),
        "classes": [{"name": one.name, "color": color_text(one.color)} for one in spec.classes],
        "exclude_from_mean": list(spec.exclude_from_mean),
        "splits": {split: list(held.names) for split, held in data.tiles.items()},
        "checksums": {split: held.checksum for split, held in data.tiles.items()},
        "scaling": data.scaling.to_plain(),
        "eroded_reference": data.eroded_from,
        "unlabelled_tiles": len(data.unlabelled),
        "labels": "masks" if spec.labels is None else spec.labels.source.name,
        "notes": list(data.notes),
    }


def current_provenance() -> dict[str, Any]:
    """Code, versions and machine of this process."""
    return {
        "commit": current_commit(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "hardware": _hardware(),
    }


def note_continuation(path: Path, manifest: dict[str, Any]) -> None:
    """Add to `study.yaml` what the study goes on with, where that is not what it began with."""
    known = [manifest["provenance"], *manifest.get("continued", ())]
    now = current_provenance()
    if now not in known:
        write_manifest(path, manifest | {"continued": [*known[1:], now]})


def processor_note(path: Path) -> str | None:
    """Why a continued study is not that of one processor to the last bit; None where it is.

    Args:
        path: Of `study.yaml`, with what the study goes on with.
    """
    manifest = read_manifest(path) or {}
    machines = [manifest.get("provenance"), *manifest.get("continued", ())]
    used = [((one or {}).get("hardware") or {}).get("instructions") for one in machines]
    known = [*dict.fromkeys(one for one in used if one)]
    if len(known) < 2:
        return None
    return (
        f"this study has run on processors with {' and '.join(known)}, which round differently: "
        "scores stay comparable, but a trial of one does not have the last bits that another "
        "would have given it"
    )


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write `study.yaml`, whole or not at all."""
    write_atomically(path, yaml.safe_dump(dict(manifest), sort_keys=False).encode())


def read_manifest(path: Path) -> dict[str, Any] | None:
    """Content of `study.yaml`, or None where the study has not begun.

    Raises:
        ConfigError: If the file is damaged.
    """
    return parse_manifest(path.read_bytes(), str(path)) if path.exists() else None


def parse_manifest(content: bytes, where: str) -> dict[str, Any]:
    """Content of `study.yaml` from its bytes.

    Args:
        content: YAML.
        where: The file, for messages.

    Raises:
        ConfigError: If it is anything else than the record of a study.
    """
    try:
        manifest = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError):  # ValueError: no UTF-8, or no such date
        manifest = None
    if not isinstance(manifest, dict) or not {"study_id", "config"} <= manifest.keys():
        raise ConfigError(f"{where} must be the record of a study, got something else; {ADVICE}")
    return manifest


def remove_login(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Take the login out of the tracking URI in `study.yaml`, where an earlier version wrote it.

    Args:
        path: Of the file.
        manifest: Its content.

    Returns:
        The content as it is now.
    """
    uri = manifest["config"].get("tracking_uri")
    if uri is None or not holds_login(uri):
        return manifest
    cleaned = manifest | {"config": manifest["config"] | {"tracking_uri": without_login(uri)}}
    write_manifest(path, cleaned)
    return cleaned


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def current_commit() -> str | None:
    """Commit of this code, with `+changes` where files differ from it; None outside a checkout."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", "manifest.py") is None:
        return None
    commit = git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain", "-uno") else commit


def _hardware() -> dict[str, Any]:
    import torch

    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "machine": platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": platform.system(),
        "cpus": os.cpu_count(),
        "memory_mib": pages * page_bytes // 2**20,
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }
