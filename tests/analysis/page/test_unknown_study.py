"""A study of methods and parameters that the contract does not have is reported whole."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analysis.page.report import make_curves, make_export, make_report, make_tables
from analysis.reading.sources.load import load_study
from analysis.tables.comparison import comparison_text

VARIANTS = ["swin", "mae-relu", "mae-gelu", "twin-relu", "twin-gelu"]
LABELS = ["Swin", "MAE, act relu", "MAE, act gelu", "Twin-net, act relu", "Twin-net, act gelu"]
CHARTS = ("label_scarcity", "annotation_needed", "best_so_far", "isolation_depth",
          "isolation_mixer")  # fmt: skip


@pytest.fixture(scope="module")
def folder(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unknown")
    made = make_report("unknown", tracking_uri=store, out=out)
    text = comparison_text(made.comparison)
    assert max(map(len, text.split("\n"))) <= 100
    assert all(label in text for label in LABELS)
    return out


def table(folder: Path, stem: str, kind: str = "tables") -> pd.DataFrame:
    return pd.read_csv(folder / kind / f"{stem}.csv")


def test_every_variant_has_its_rows_in_the_order_of_the_record(folder: Path) -> None:
    frame = table(folder, "comparison")
    assert frame["model"].tolist() == VARIANTS * 2
    assert frame["num_seeds"].tolist() == [3] * 10
    assert frame["depth"].tolist() == [16] * 10
    assert frame["mixer"].fillna("").tolist() == ["", *["mlp"] * 4] * 2
    assert "act" not in frame
    assert list(dict.fromkeys(table(folder, "per_class")["model"])) == VARIANTS
    assert list(dict.fromkeys(table(folder, "costs")["model"])) == VARIANTS
    ratios = table(folder, "costs").query("phase == 'confirm' and label_frac == 1")
    assert ratios["trial_s_per_baseline"].tolist() == pytest.approx(
        [i / 11 for i in range(11, 16)], rel=1e-5
    )


def test_every_pair_is_tested_and_corrected_in_one_family(folder: Path) -> None:
    frame = table(folder, "differences").query("measure == 'mean_f1' and label_frac == 1")
    pairs = list(zip(frame["model"], frame["minus"], strict=True))
    assert pairs[:4] == [(name, "swin") for name in VARIANTS[1:]]
    assert pairs[4:] == [
        ("mae-relu", "mae-gelu"), ("mae-relu", "twin-relu"), ("mae-gelu", "twin-gelu"),
        ("twin-relu", "twin-gelu"),
    ]  # fmt: skip
    assert set(frame["pairs_needed"]) == {6}  # signs that turn together cost no seeds
    assert set(table(folder, "annotation_needed")["reference"]) == {"swin"}


def test_every_chart_has_every_variant_that_has_the_parameter(folder: Path) -> None:
    for name in CHARTS:
        svg = (folder / "figures" / f"{name}.svg").read_text()
        left_out = {"annotation_needed", "isolation_mixer"}
        for label in LABELS[name in left_out :]:
            assert f">{label}<" in svg, (name, label)
    depth, mixer = (table(folder, f"isolation_{name}", "figures") for name in ("depth", "mixer"))
    assert set(depth["model"]) == set(VARIANTS)
    assert set(mixer["model"]) == set(VARIANTS[1:])
    assert set(mixer["value"]) == {"conv", "attention", "mlp"}


def test_the_page_names_styles_and_searches_them(folder: Path) -> None:
    page = (folder / "index.html").read_text()
    shown = re.sub(r'href="data:[^"]*"', "", page)
    assert not re.search(r"\bnan\b|U-REC|U-Net", re.sub("<pre>.*?</pre>", "", shown, flags=re.S))
    for index in range(5):
        assert f".mark.variant-{index} {{" in shown
        assert f"var(--variant-{index})" in shown
    for text in (
        "How many labels the others need for Swin&#39;s score",
        "Relative<br>to Swin",
        "Swin has no mixer: where only mixer varies, it has nothing to search",
        "<h3>Best score by depth of the encoder</h3>",
        "<h3>Best score by token mixer</h3>",
        "<th>Best depth</th><th>Best mixer</th>",
        "<td>attention</td>",
        "Swin at 9.9\N{NO-BREAK SPACE}% and 100\N{NO-BREAK SPACE}%: cannot be said from 12 trials: "
        "depth alone was searched.",
        "PED-ANOVA",
    ):
        assert text in shown, text


def test_it_comes_back_from_an_exported_file(folder: Path, store: str, tmp_path: Path) -> None:
    made = make_export("unknown", tracking_uri=store, out=tmp_path)
    exported, tracked = load_study(str(made.files[0])), load_study("unknown", store)
    pd.testing.assert_frame_equal(exported.trials, tracked.trials)
    assert exported.styles == tracked.styles
    assert set(exported.trials["mixer"]) == {"", "conv", "attention", "mlp"}
    files = [
        file
        for make in (make_tables, make_curves)
        for file in make(str(made.files[0]), out=tmp_path / "again").files
    ]
    csvs = [path for path in files if path.suffix == ".csv"]
    assert len(csvs) > 20
    for path in csvs:
        first = folder / path.relative_to(tmp_path / "again")
        assert path.read_bytes() == first.read_bytes(), path.name
