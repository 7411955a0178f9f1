"""Studies in a small MLflow store, as the study's driver writes them."""

import io
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from PIL import Image

CLASSES = ("impervious_surfaces", "building", "low_vegetation", "tree", "car", "clutter")
COLORS = ("#FFFFFF", "#0000FF", "#00FFFF", "#00FF00", "#FFFF00", "#FF0000")
SHARES = (0.30, 0.25, 0.22, 0.20, 0.02, 0.01)


@dataclass
class FakeStudy:
    """Writes one study: parent run first, then trials as a test asks for them."""

    client: MlflowClient
    name: str
    status: str = "finished"
    classes: tuple[str, ...] = CLASSES
    exclude: tuple[str, ...] = ("clutter",)
    seeds: int = 3
    with_document: bool = True
    select_by: str | None = None
    num_failed: int | None = None
    recorded: dict[str, Any] = field(default_factory=dict)
    """What its study.yaml says of methods, variants and parameters, as older ones do not."""
    experiment_id: str = field(init=False)
    parent_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.experiment_id = self.client.create_experiment(self.name)
        tags = {"phase": "study", "study": self.name, "status": self.status}
        if self.num_failed is not None:
            tags["num_failed"] = str(self.num_failed)
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=self.name)
        self.parent_id = run.info.run_id
        if self.with_document:
            text = yaml.safe_dump(self.document(), sort_keys=False)
            self.client.log_text(self.parent_id, text, "study.yaml")

    def document(self) -> dict[str, Any]:
        return {
            "config": {
                "name": self.name, "preset": "demo", "models": ["urec", "unet"],
                "seeds": self.seeds, "trials": 2,
                **({} if self.select_by is None else {"select_by": self.select_by}),
            },
            "dataset": {
                "name": "Vaihingen", "bands": ["IR", "R", "G"],
                "classes": [
                    {"name": n, "color": c} for n, c in zip(self.classes, COLORS, strict=False)
                ],
                "exclude_from_mean": list(self.exclude), "gsd_m": 0.09,
                "splits": {"train": ["area1", "area3"], "val": ["area7"],
                           "test": ["area15", "area17"]},
                "checksums": {"area1": "9f2c"},
            },
            "provenance": {
                "commit": "0123abc", "versions": {"torch": "2.12.0", "mlflow": "3.17.2"},
                "hardware": {"cpus": 2, "gpus": []},
            },
            **self.recorded,
        }  # fmt: skip

    def trial(
        self,
        phase: str,
        model: str,
        frac: float,
        number: int,
        *,
        status: str = "finished",
        converged: bool | None = True,
        attempts: int | None = None,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
    ) -> str:
        """One child run without its artifacts; returns the run id.

        A model such as `urec-all` is a variant, and gets the tag; without, the run is as older
        studies wrote it.
        """
        arm = f"{model}-f{frac:.2f}"
        key = f"{phase}-{arm}-{f's{number}' if phase == 'confirm' else f't{number:03d}'}"
        tags = {
            "mlflow.parentRunId": self.parent_id, "phase": phase, "arm": arm,
            "model": model.partition("-")[0], "label_frac": str(frac), "seed": str(number),
            "status": status, "trial_key": key,
        }  # fmt: skip
        if "-" in model:
            tags["variant"] = model
        if attempts is not None:
            tags["attempts"] = str(attempts)
        if status == "finished" and converged is not None:
            tags["converged"] = str(converged).lower()
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=key)
        values = {
            "budget/reached_frac": frac * 0.99 if frac < 1 else 1.0,
            "budget/annotated_px": 1e6 * frac,
        }
        values |= metrics or {}
        named = {"lr": "0.001", "w1": "0.1", "steps": "400"} | (params or {})
        self.client.log_batch(
            run.info.run_id,
            metrics=[
                *(Metric("train/loss", 1.0 / (s + 1), 1_700_000_000_000, s) for s in range(3)),
                *(Metric(k, v, 1_700_000_000_000, 400) for k, v in values.items()),
            ],
            params=[Param(k, v) for k, v in named.items()],
            tags=[RunTag("mlflow.note.content", key)],
        )
        run_id: str = run.info.run_id
        if status == "failed":
            self.client.log_text(
                run_id, "Traceback (most recent call last):\n  ...\nRuntimeError: out of memory\n",
                "traceback.txt",
            )  # fmt: skip
        return run_id

    def confirm(
        self,
        model: str,
        frac: float,
        seed: int,
        counts: Iterable[np.ndarray],
        *,
        eroded: Iterable[np.ndarray | None] | None = None,
        converged: bool | None = True,
        picture: bytes | None = None,
        attempts: int | None = None,
        metrics: dict[str, float] | None = None,
        params: dict[str, str] | None = None,
    ) -> str:
        """A finished confirmation trial with one confusion matrix per tile."""
        run_id = self.trial(
            "confirm", model, frac, seed, converged=converged, attempts=attempts, metrics=metrics,
            params=params,
        )  # fmt: skip
        tiles = list(counts)
        eroded_tiles = [None] * len(tiles) if eroded is None else list(eroded)
        document = {
            "schema": 1, "split": "test", "classes": list(self.classes),
            "exclude_from_mean": list(self.exclude),
            "tiles": [
                {"name": f"area{15 + 2 * i}", "full": full.tolist(),
                 "eroded": None if part is None else part.tolist()}
                for i, (full, part) in enumerate(zip(tiles, eroded_tiles, strict=True))
            ],
        }  # fmt: skip
        self.client.log_text(run_id, json.dumps(document), "confusion.json")
        if picture is not None:
            local = Path(self.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
            local.mkdir(parents=True, exist_ok=True)
            (local / "picture.png").write_bytes(picture)
        return run_id


def confusion_counts(
    skill: float, generator: np.random.Generator, *, num_classes: int = 6, num_px: int = 200_000
) -> np.ndarray:
    """Counts (K, K) of a fake model that is right about `skill` of the time."""
    shares = np.array(SHARES[:num_classes]) / sum(SHARES[:num_classes])
    rows = []
    for index, share in enumerate(shares):
        right = np.clip(skill * (0.6 if share < 0.05 else 1.0), 0.0, 1.0)
        chances = (1.0 - right) * np.delete(shares, index) / np.delete(shares, index).sum()
        row = np.insert(chances, index, right)
        rows.append(generator.multinomial(int(num_px * share), row / row.sum()))
    return np.array(rows, dtype=np.int64)


def png(width_px: int, height_px: int, generator: np.random.Generator) -> bytes:
    """A picture of coloured blocks: image, reference, prediction side by side."""
    rows, columns = max(height_px // 16, 1), max(width_px // 16, 1)
    blocks = generator.integers(0, 255, (rows, columns, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(blocks).resize((width_px, height_px), 0).save(content, "PNG")
    return content.getvalue()


def fill_full_study(study: FakeStudy) -> None:
    """Two models, two fractions, three seeds, eroded references, one search trial per arm."""
    generator = np.random.default_rng(7)
    for frac, base in ((0.02, 0.70), (1.0, 0.85)):
        for model, gain in (("urec", 0.04 if frac < 0.1 else 0.0), ("unet", 0.0)):
            study.trial(
                "search", model, frac, 0,
                metrics={"select/mean_f1": base + gain}, params={"lr": "0.003"},
            )  # fmt: skip
            for seed in range(3):
                noise = np.random.default_rng(seed).normal(0.0, 0.02)
                counts = [confusion_counts(base + gain + noise, generator) for _ in range(2)]
                study.confirm(
                    model, frac, seed, counts, eroded=[c // 2 for c in counts],
                    picture=png(480, 160, generator),
                )  # fmt: skip


def new_store(mlflow_database: Path, folder: Path) -> MlflowClient:
    """An empty store in a folder, artifacts beside its database."""
    shutil.copy(mlflow_database, folder)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    original = client.create_experiment

    def create_beside_the_database(name: str) -> str:
        return original(name, artifact_location=(folder / "artifacts" / name).as_uri())

    client.create_experiment = create_beside_the_database  # type: ignore[method-assign]
    return client


@pytest.fixture(scope="session")
def store(mlflow_database: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Tracking URI of an MLflow database that holds every study of these tests."""
    client = new_store(mlflow_database, tmp_path_factory.mktemp("mlflow"))
    fill_full_study(FakeStudy(client, "full"))
    fill_edge_studies(client)
    fill_variants_study(FakeStudy(client, "variants", select_by="miou", num_failed=7))
    fill_stopped_study(FakeStudy(client, "stopped", status="stopped", seeds=2))
    fill_profiled_study(FakeStudy(client, "profiled"))
    fill_unknown_study(client)
    fill_validated_study(client)
    return str(client.tracking_uri)


REACHED = {0.01: (0.0053, 0.0070, 0.0100), 0.1: (0.10, 0.08, 0.09), 1.0: (1.0, 1.0, 1.0)}
"""What blocks reached of the fractions asked, by seed: as measured at 1 %."""


def fill_validated_study(client: MlflowClient) -> None:
    """Two models at three fractions; a third as many labels in the validation tiles, all used."""
    budgets = [
        {"seed": seed, "fraction_asked": frac, "fraction_reached": share}
        for frac, shares in REACHED.items() for seed, share in enumerate(shares)
    ]  # fmt: skip
    recorded = {"budgets": budgets, "val_budgets": [], "equal_budgets": []}
    study = FakeStudy(client, "validated", recorded=recorded)
    generator = np.random.default_rng(29)
    for frac, shares in REACHED.items():
        for model in ("urec", "unet"):
            for seed, share in enumerate(shares):
                metrics = {
                    "budget/reached_frac": share, "budget/annotated_px": 900_000 * share,
                    "budget/val_reached_frac": 1.0, "budget/val_annotated_px": 300_000.0,
                    "budget/with_val_frac": (3 * share + 1) / 4,
                }  # fmt: skip
                counts = [confusion_counts(0.6 + 0.2 * frac, generator) for _ in range(2)]
                study.confirm(model, frac, seed, counts, metrics=metrics)


def fill_variants_study(study: FakeStudy) -> None:
    """Three variants at three fractions, with trials pruned, failed and started twice.

    At 2 % one of three confirmations of `urec-annotated` failed; at 10 % all of them; at 100 %
    its search failed, so that confirmation never began. `urec-all` is 0.1 better than the rest
    at 2 %, for every seed alike.
    """
    generator = np.random.default_rng(11)
    skill = {0.02: 0.6, 0.1: 0.7, 1.0: 0.8}
    for frac, base in skill.items():
        for model in ("unet", "urec-all", "urec-annotated"):
            if (frac, model) == (1.0, "urec-annotated"):
                for number in range(2):
                    study.trial("search", model, frac, number, status="failed", attempts=3)
                continue
            gain = 0.1 if (frac, model) == (0.02, "urec-all") else 0.0
            study.trial(
                "search", model, frac, 0,
                metrics={"select/miou": base + gain}, params={"lr": "0.003"},
            )  # fmt: skip
            for number in (1, 2) if model != "unet" else ():
                # further than the finished one when it was stopped, and still never chosen
                study.trial(
                    "search", model, frac, number, status="pruned",
                    metrics={"val/miou": 0.99, "select/miou": 0.99}, params={"lr": "0.1"},
                )  # fmt: skip
            for seed in range(3):
                if model == "urec-annotated" and (frac == 0.1 or seed == 2):
                    study.trial("confirm", model, frac, seed, status="failed", attempts=3)
                    continue
                skilled = base + gain + seed / 50
                counts = [confusion_counts(skilled, generator) for _ in range(2)]
                attempts = 2 if (frac, model, seed) == (0.1, "unet", 0) else 1
                study.confirm(
                    model, frac, seed, counts,
                    picture=png(480, 160, generator), attempts=attempts,
                )  # fmt: skip


UNKNOWN: dict[str, Any] = {
    "methods": [
        {"name": "swin", "label": "Swin", "network": "swin", "unannotated": "nothing",
         "is_baseline": True},
        {"name": "mae", "label": "MAE", "network": "my.models:mae", "unannotated": "masking",
         "is_baseline": False},
        {"name": "twin", "label": "Twin-net", "network": "my.models:twin",
         "unannotated": "consistency", "is_baseline": False},
    ],
    "variants": [
        {"name": name, "label": label, "short_label": label, "method": name.partition("-")[0],
         "is_baseline": name == "swin", "levels": levels}
        for name, label, levels in (
            ("swin", "Swin", {}),
            ("mae-relu", "MAE, act relu", {"act": "relu"}),
            ("mae-gelu", "MAE, act gelu", {"act": "gelu"}),
            ("twin-relu", "Twin-net, act relu", {"act": "relu"}),
            ("twin-gelu", "Twin-net, act gelu", {"act": "gelu"}),
        )
    ],
    "parameters": [
        {"name": "depth", "label": "depth of the encoder", "kind": "integer", "log": True,
         "role": "searched", "domain": "1..64", "unannotated": None,
         "methods": ["swin", "mae", "twin"]},
        {"name": "mixer", "label": "token mixer", "kind": "choice", "log": False,
         "role": "searched", "domain": "conv/attention/mlp", "unannotated": None,
         "methods": ["mae", "twin"]},
        {"name": "act", "label": "activation", "kind": "choice", "log": False,
         "role": "compared", "domain": "relu/gelu", "unannotated": None,
         "methods": ["mae", "twin"]},
    ],
}  # fmt: skip
"""What a study of later methods and parameters writes into its study.yaml."""


def fill_unknown_study(client: MlflowClient) -> None:
    """Five variants of methods that the contract does not have, at two fractions."""
    study = FakeStudy(client, "unknown", recorded=UNKNOWN)
    generator = np.random.default_rng(23)
    mixers = ("conv", "attention", "mlp")
    for index, variant in enumerate(UNKNOWN["variants"]):
        name, act = variant["name"], variant["levels"].get("act")
        for frac in (0.1, 1.0):
            for number in range(12):
                depth, mixer = int(generator.integers(1, 65)), mixers[number % 3]
                found = 0.4 + 0.08 * np.log10(depth) + 0.1 * (mixer == "attention") + 0.1 * frac
                # `mixer` and `act` are logged for all, as older runs log what they do not have
                study.trial(
                    "search", name, frac, number, metrics={"select/mean_f1": found},
                    params={"depth": str(depth), "mixer": mixer, "act": act or "relu"},
                )  # fmt: skip
            for seed in range(3):
                counts = confusion_counts(0.6 + 0.2 * frac + 0.02 * index, generator)
                study.confirm(
                    name, frac, seed, [counts], metrics={"perf/train_s": 10.0 + index,
                    "perf/eval_s": 1.0}, params={"depth": "16", "mixer": "mlp", "batch_size": "4"},
                )  # fmt: skip


def fill_stopped_study(study: FakeStudy) -> None:
    """Ctrl-C while U-Net was confirmed and U-REC was still searched."""
    generator = np.random.default_rng(13)
    study.trial("search", "unet", 0.1, 0, metrics={"select/mean_f1": 0.5})
    study.confirm("unet", 0.1, 0, [confusion_counts(0.8, generator)])
    study.trial("confirm", "unet", 0.1, 1, status="stopped")
    study.trial("search", "urec", 0.1, 0, metrics={"select/mean_f1": 0.5})
    study.trial("search", "urec", 0.1, 1, status="pruned")
    study.trial("search", "urec", 0.1, 2, status="stopped")
    study.trial("search", "urec", 0.1, 3, status="running")


TIMES = {
    "sessions": 2.0, "slots": 2.0, "wall_s": 100.0, "before_s": 10.0, "slot_s": 200.0,
    "slot_before_s": 20.0, "trial_s": 150.0, "tracking_s": 3.0, "callback_s": 1.0,
}  # fmt: skip


def fill_profiled_study(study: FakeStudy) -> None:
    """Two models; of three confirmations of each one ran before the study was profiled."""
    generator = np.random.default_rng(17)
    parts = {
        "start": 5.0, "data": 1.0, "forward_backward": 10.0, "validation": 2.0, "checkpoint": 0.5,
        "report": 0.25, "test": 3.0, "record": 0.25,
    }  # fmt: skip
    timed = {"perf/train_s": 11.0, "perf/eval_s": 2.0, "perf/patches_per_s": 4.0}
    for model, factor in (("unet", 1.0), ("urec", 2.0)):
        for seed in range(3):
            metrics = {name: factor * value for name, value in timed.items()}
            if seed > 0:
                metrics["perf/test_s"] = 2.5 * factor
                metrics |= {f"time/{part}_s": factor * value for part, value in parts.items()}
            counts = [confusion_counts(0.8, generator) for _ in range(2)]
            study.confirm(model, 0.1, seed, counts, metrics=metrics)
    study.trial("search", "urec", 0.1, 0, status="pruned")
    study.client.log_batch(
        study.parent_id,
        metrics=[Metric(f"time/{name}", value, 1, 0) for name, value in TIMES.items()],
    )


def fill_edge_studies(client: MlflowClient) -> None:
    """One small study per thing that can be missing or wrong."""
    generator = np.random.default_rng(3)

    def counts(skill: float = 0.8, num_classes: int = 6) -> list[np.ndarray]:
        return [confusion_counts(skill, generator, num_classes=num_classes)]

    one_seed = FakeStudy(client, "one-seed", seeds=1)
    for model in ("unet", "urec"):
        one_seed.confirm(model, 0.1, 0, counts())

    FakeStudy(client, "empty", status="running")

    searching = FakeStudy(client, "searching", status="running", with_document=False)
    searching.trial("search", "urec", 0.1, 0, metrics={"select/mean_f1": 0.5})
    searching.trial("search", "urec", 0.1, 1, status="running")

    one_model = FakeStudy(client, "one-model")
    one_model.confirm("unet", 0.1, 0, counts(), converged=None)

    broken = FakeStudy(client, "broken", status="failed", seeds=2)
    for seed in range(2):
        broken.confirm("unet", 0.1, seed, counts(), converged=seed == 0)
        broken.trial("confirm", "urec", 0.1, seed, status="failed")
    broken.trial("confirm", "unet", 0.1, 0, status="failed")  # an earlier attempt came through
    client.create_run(broken.experiment_id, run_name="somebody's own run")

    absent = FakeStudy(client, "absent-class", seeds=1)
    without_car = counts()[0]
    without_car[4, :] = without_car[:, 4] = 0
    absent.confirm("unet", 1.0, 0, [without_car, without_car], eroded=[without_car, None])

    wrong = FakeStudy(client, "wrong-shape", seeds=1)
    wrong.confirm("unet", 1.0, 0, [np.ones((2, 3), dtype=np.int64)])

    FakeStudy(client, "wrong-model").trial("confirm", "segnet", 1.0, 0)

    twice = FakeStudy(client, "twice", seeds=1)
    twice.confirm("unet", 0.1, 0, counts())
    tags = {"phase": "study", "study": "twice", "status": "finished"}
    twice.parent_id = client.create_run(twice.experiment_id, tags=tags).info.run_id
    twice.confirm("unet", 0.5, 0, counts())
