"""A study with much of everything: eight variants, twelve classes, seven fractions."""

from typing import Any

import numpy as np
from mlflow.tracking import MlflowClient

from tests.analysis.conftest import FakeStudy

CLASSES = (
    "background_clutter", "building_flooded", "building_non_flooded", "road_flooded",
    "road_non_flooded", "water", "tree", "vehicle", "swimming_pool", "grass",
    "agricultural_land", "rangeland",
)  # fmt: skip
NEVER_PREDICTED, WITHOUT_REFERENCE = CLASSES.index("vehicle"), CLASSES.index("swimming_pool")
SHARES = np.array([10, 5, 10, 5, 10, 10, 20, 0.5, 0, 20, 5, 4.5]) / 100
FRACTIONS = (0.01, 0.02, 0.05, 0.1, 0.3, 1.0)


def _method(name: str, label: str, unannotated: str, is_baseline: bool = False) -> dict[str, Any]:
    network = "urec" if unannotated == "reconstruction" else "unet"
    return {
        "name": name, "label": label, "network": network, "unannotated": unannotated,
        "is_baseline": is_baseline,
    }  # fmt: skip


def _variant(name: str, label: str, method: str, levels: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "label": label, "short_label": label, "method": method,
        "is_baseline": method == "unet", "levels": levels,
    }  # fmt: skip


RECORDED: dict[str, Any] = {
    "methods": [
        _method("unet", "U-Net", "nothing", is_baseline=True),
        _method("urec", "U-REC", "reconstruction"),
        _method("fixmatch", "FixMatch", "pseudo-labels"),
    ],
    "variants": [
        _variant("unet", "U-Net", "unet", {}),
        *(
            _variant(
                f"urec-{loss}-{w1:g}", f"U-REC, loss {loss}, w1 {w1:g}", "urec",
                {"rec_loss": loss, "w1": w1},
            )
            for loss in ("l1", "l1_ssim", "l2")
            for w1 in (0.0, 0.1)
        ),
        _variant("fixmatch", "FixMatch", "fixmatch", {}),
    ],
    "parameters": [
        {"name": "rec_loss", "label": "loss", "kind": "choice", "log": False, "role": "compared",
         "domain": "l1/l1_ssim/l2", "unannotated": "reconstruction", "methods": ["urec"]},
        {"name": "w1", "label": "w1", "kind": "float", "log": True, "role": "compared",
         "domain": "0/0.1", "unannotated": "reconstruction", "methods": ["urec"]},
    ],
}  # fmt: skip


def fill_crowded_study(client: MlflowClient) -> None:
    """Three seeds of every arm; nothing is reconstructed, and one class is never predicted."""
    study = FakeStudy(
        client, "crowded", classes=CLASSES, exclude=CLASSES[:1], seeds=3, recorded=RECORDED
    )
    generator = np.random.default_rng(5)
    for frac in FRACTIONS:
        for place, variant in enumerate(RECORDED["variants"]):
            skill = 0.6 + 0.1 * np.log10(frac) / 2 + 0.02 * place
            for seed in range(3):
                tiles = [_counts(skill + 0.01 * seed, generator) for _ in range(3)]
                study.confirm(
                    variant["name"], frac, seed, tiles, metrics=_measured(variant["method"])
                )


def _measured(method: str) -> dict[str, float]:
    measured = {"perf/train_s": 10.0, "perf/eval_s": 1.0}
    if method == "urec":
        names = ("val/rec_l1", "val/rec_l1_constant", "val/rec_l1_blocks", "train/grad_share_rec")
        measured |= dict(zip(names, (0.16, 0.16, 0.05, 0.02), strict=True))
    if method == "fixmatch":
        measured["train/pseudo_share"] = 0.001
    return measured


def _counts(skill: float, generator: np.random.Generator) -> np.ndarray:
    rows = []
    for index, share in enumerate(SHARES):
        chances = np.full(len(SHARES), (1.0 - skill) / (len(SHARES) - 1))
        chances[index] = skill
        chances[NEVER_PREDICTED] = 0.0
        rows.append(generator.multinomial(int(100_000 * share), chances / chances.sum()))
    return np.array(rows, dtype=np.int64)
