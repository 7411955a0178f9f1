from dataclasses import replace

import numpy as np
import pytest

from analysis.findings.learned import LEARNED_BELOW, learning_warnings, reconstruction_by_arm
from analysis.findings.warnings import warnings
from analysis.page.study_report import StudyReport
from analysis.reading.sources.export import write_export
from analysis.reading.sources.exported import load_exported
from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials

DEMO = (0.151, 0.166, 0.041, 0.003)
"""L1, that of a constant colour and of blocks, and the share in the gradient, of a demo trial."""


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def measured(record, values):
    """The record with these measures of U-REC's confirmation trials, in their order."""
    trials = record.trials.copy()
    chosen = trials.index[(trials["variant"] == "urec") & (trials["phase"] == "confirm")]
    names = ["rec_l1", "rec_l1_constant", "rec_l1_blocks", "grad_share_rec"]
    trials.loc[chosen, names] = np.resize(np.array(values, dtype=float), (len(chosen), 4))
    return replace(record, trials=trials)


@pytest.fixture(scope="module")
def full(store):
    return load_study("full", store)


def said(record) -> list[str]:
    return [plain(one) for one in learning_warnings(record)]


def test_a_reconstruction_no_better_than_one_colour_is_told_before_any_finding(full):
    """The demo compared U-Net with a U-REC that had reconstructed nothing, and did not say so."""
    record = measured(full, [DEMO, (0.162, 0.166, 0.041, 0.015), (0.155, 0.166, 0.041, 0.01)])
    (found,) = said(record)
    assert found.startswith(
        "Nothing was reconstructed by U-REC: the L1 of what it reconstructs is 0.151 to 0.162 "
        "where one constant colour gives 0.166 and the mean colours of blocks of 8 px give 0.041; "
        "the reconstruction had 0.3 % to 1.5 % of the gradient of the weights that it shares"
    )
    assert found in [plain(one) for one in warnings(record, score_trials(record))]


def test_what_was_reconstructed_or_not_measured_is_no_warning(full):
    assert said(full) == []
    below, above = (LEARNED_BELOW + one for one in (-0.01, 0.01))
    assert said(measured(full, [(below, 1.0, 0.2, 0.01)])) == []
    assert len(said(measured(full, [(above, 1.0, 0.2, 0.01)]))) == 1
    # Most trials decide: the median over them.
    assert said(measured(full, [(below, 1.0, 0.2, 0.01)] * 2 + [(above, 1.0, 0.2, 0.01)])) == []


def test_a_control_without_reconstruction_is_no_warning_but_stands_in_the_table(full):
    record = measured(full, [(0.4, 0.166, 0.041, 0.0)])
    assert said(record) == []
    assert (reconstruction_by_arm(record)["rec_l1"] == 0.4).all()


def test_an_unknown_share_is_left_out(full):
    (found,) = said(measured(full, [(0.16, 0.166, 0.041, np.nan)]))
    assert "gradient" not in found


def test_arms_by_hand(full):
    record = measured(
        full, [(0.1, 0.2, 0.05, 0.01), (0.3, 0.2, 0.05, 0.03), (0.2, 0.2, 0.05, 0.02)]
    )
    frame = reconstruction_by_arm(record)
    assert frame[["model", "label_frac", "num_trials"]].to_numpy().tolist() == [
        ["urec", 0.02, 3], ["urec", 1.0, 3],
    ]  # fmt: skip
    row = frame.iloc[0]
    assert (row["rec_l1"], row["rec_l1_low"], row["rec_l1_high"]) == (0.2, 0.1, 0.3)
    assert (row["grad_share_rec"], row["grad_share_rec_high"]) == (0.02, 0.03)
    assert reconstruction_by_arm(full).empty


def test_the_report_holds_the_table_and_an_exported_file_gives_the_same(full, tmp_path):
    record = measured(full, [DEMO])
    path = write_export(record, tmp_path / "full.parquet")
    for one in (record, load_exported(path)):
        StudyReport(record=one).write_page(tmp_path / "report")
        page = plain((tmp_path / "report" / "index.html").read_text())
        assert "Nothing was reconstructed by U-REC" in page
        assert "L1 of the reconstruction, one colour being 100 %: 91 % for " in page
        table = (tmp_path / "report" / "tables" / "reconstruction.csv").read_text()
        assert "urec,0.02,3,0.151000,0.151000,0.151000,0.166000,0.041000,0.003000" in table
        assert "0.3 % (0.3 % to 0.3 %)" in page
    StudyReport(record=full).write_page(tmp_path / "without")
    assert "What was reconstructed" not in (tmp_path / "without" / "index.html").read_text()
    assert not (tmp_path / "without" / "tables" / "reconstruction.csv").exists()


def labelled(record, shares, weight=None):
    """The record with these shares of labelled pixels of one variant's confirmation trials."""
    trials = record.trials.copy()
    chosen = trials.index[(trials["variant"] == "urec") & (trials["phase"] == "confirm")]
    trials.loc[chosen, "pseudo_share"] = np.resize(np.array(shares, dtype=float), len(chosen))
    style = record.styles["urec"]
    levels = {} if weight is None else {"pseudo_weight": weight}
    changed = replace(style, variant=replace(style.variant, levels=levels))
    found = replace(record, trials=trials)
    vars(found)["styles"] = {**record.styles, "urec": changed}  # worked out once, and kept
    return found


@pytest.mark.parametrize("kind", ["reconstructed", "labelled"])
def test_a_warning_alike_stood_there_once_for_each_variant(store, kind):
    record = load_study("variants", store)
    trials = record.trials.copy()
    chosen = trials["variant"].str.startswith("urec") & (trials["phase"] == "confirm")
    if kind == "reconstructed":
        shown = ["rec_l1", "rec_l1_constant", "rec_l1_blocks", "grad_share_rec"]
        trials.loc[chosen, shown] = DEMO
    else:
        trials.loc[chosen, "pseudo_share"] = 0.001
    (found,) = said(replace(record, trials=trials))
    both = "U-REC (all pixels) and U-REC (annotated pixels)"
    assert found.startswith(
        f"Nothing was reconstructed by {both}: the L1 of what they reconstruct is 0.151 where"
        if kind == "reconstructed"
        else f"Hardly any pixel got a pseudo-label from the teachers of {both}: in the last steps"
    )


def test_a_teacher_that_was_never_sure_is_told_before_any_finding(full):
    """In a short study no probability reaches the threshold: FixMatch was U-Net, unsaid."""
    record = labelled(full, [0.0, 0.004, 0.012])
    (found,) = said(record)
    assert found.startswith(
        "Hardly any pixel got a pseudo-label from the teacher of U-REC: in the last steps 0.0 % to "
        "1.2 % of the pixels that are not annotated, 0.4 % in the median trial, reached "
        "pseudo_threshold. What pseudo-labels change is not measured by such trials"
    )
    assert found in [plain(one) for one in warnings(record, score_trials(record))]


@pytest.mark.parametrize(
    ("shares", "num"), [([0.0099], 1), ([0.01], 0), ([0.0, 0.02, 0.02], 0), ([np.nan], 0)]
)
def test_labels_of_one_pixel_in_a_hundred_are_some(full, shares, num):
    """Most trials decide: the median over them."""
    assert len(said(labelled(full, shares))) == num


@pytest.mark.parametrize(("weight", "num"), [(None, 1), (0.5, 1), (0.0, 0)])
def test_labels_without_weight_are_no_fault(full, weight, num):
    assert len(said(labelled(full, [0.0], weight))) == num


def test_an_exported_file_keeps_what_a_teacher_labelled(full, tmp_path):
    record = labelled(full, [0.004])
    path = write_export(record, tmp_path / "full.parquet")
    assert said(load_exported(path)) == said(record) != []


def test_a_class_that_is_never_recognised_is_told_by_variant_with_counts(full):
    """A mean F1 with a class at 0 throughout was read as a model's quality in all classes.

    Two pixels of it, both at a wrong place, were taken for a class that is predicted.
    """
    keys = sorted(full.confusions)
    confusions = dict(full.confusions)
    for key in keys:
        if key.endswith(("unet-f0.02-s0", "unet-f0.02-s1", "urec-f1.00-s2")):
            tiles = []
            for tile in confusions[key].tiles:
                counts = tile.full.copy()
                counts[:, 0] += counts[:, 4]
                counts[:, 4] = 0
                counts[1, 4] = 2
                tiles.append(replace(tile, full=counts))
            confusions[key] = replace(confusions[key], tiles=tuple(tiles))
    name = confusions[keys[0]].classes[4]
    (found,) = said(replace(full, confusions=confusions))
    assert found == (
        f"Of classes that the test tiles hold, not one pixel is recognised: {name} (U-Net in 2 of "
        "6 trials, both at 2 %; and U-REC in 1 of 6 trials, at 100 %). "
        "F1 and IoU are 0 there."
    )


def test_a_class_that_the_test_tiles_do_not_hold_need_not_be_predicted(store):
    assert said(load_study("absent-class", store)) == []
