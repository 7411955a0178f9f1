import json
import math

import numpy as np

from contract.measures import summarise
from study.mlflow_runs.shown.metrics import ShownMetrics

CLASSES = ("roads", "building", "low", "tree", "car", "clutter")


def all_measures(classes=CLASSES) -> dict[str, float]:
    """What a confirmation trial of U-REC ends with, and the numbers of its curves."""
    counts = np.arange(len(classes) ** 2).reshape(len(classes), -1) + 1
    scores = summarise(counts, classes, (classes[-1],))
    measures = {f"{split}/{name}": one for split in ("test", "test_eroded")
                for name, one in scores.items()}  # fmt: skip
    measures |= {f"val/{name}": scores[name] for name in ("oa", "mean_f1", "mean_f1_all", "miou",
                                                          "miou_all", "kappa")}  # fmt: skip
    named = (
        "train/loss train/loss_seg train/loss_rec train/lr train/grad_share_rec select/mean_f1 "
        "select/step val/rec_l1 val/rec_l1_constant val/rec_l1_blocks budget/reached_frac "
        "budget/annotated_px budget/val_reached_frac budget/val_annotated_px budget/with_val_frac "
        "perf/patches_per_s perf/train_s perf/eval_s perf/test_s perf/workers perf/bf16 "
        "perf/peak_memory_mib"
    )
    return measures | {name: float(index) for index, name in enumerate(named.split())}


def test_a_run_had_82_metrics_of_which_a_person_compares_25():
    shown = ShownMetrics(CLASSES, ("clutter",))
    names = [name for name in all_measures() if shown.holds(name)]
    assert len(all_measures()) > 80
    assert 20 <= len(names) <= 27
    assert {"test/oa", "test/mean_f1", "test/miou", "test/iou_car", "train/loss_rec"} <= {*names}
    assert not {"test/precision_car", "test/kappa", "perf/bf16"} & {*names}


def test_every_number_is_a_metric_or_in_the_tag_or_follows_from_the_test_tiles():
    shown = ShownMetrics(CLASSES)
    measures = all_measures()
    rest = json.loads(shown.rest(measures))
    missing = {name for name in measures if name not in rest and not shown.holds(name)}
    assert {name.partition("/")[0] for name in missing} == {"test", "test_eroded"}
    assert not any(map(shown.holds, rest))
    assert rest["budget/with_val_frac"] == measures["budget/with_val_frac"]


def test_an_undefined_number_was_no_json():
    assert json.loads(ShownMetrics().rest({"time/x_s": math.nan, "perf/bf16": 1.0})) == {
        "perf/bf16": 1.0
    }


def test_of_many_classes_those_that_count_in_the_mean_come_first():
    classes = [f"c{index}" for index in range(12)]
    shown = ShownMetrics(classes, ("c0", "c5"))
    assert shown.classes == ("c1", "c2", "c3", "c4", "c6", "c7", "c8", "c9", "c10", "c11")
    assert not shown.holds("test/iou_c0")
