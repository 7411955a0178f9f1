"""Which trials and tiles have maps; how they are read is tested with `picture_section`."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.pictures.mapped_trials import find_maps
from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.schema import StudyDataError, StudyInfo
from analysis.reading.sources.record import StudyRecord

PALETTE = [(1, 2, 3), (4, 5, 6)]


def png(value: int = 0, shape: tuple[int, int] = (4, 6)) -> bytes:
    picture = Image.fromarray(np.full(shape, value, np.uint8))
    picture.putpalette(np.array(PALETTE + [(0, 0, 0)] * 254, np.uint8).tobytes())
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def scored(tmp_path):
    """A record whose trials (variant, fraction, seed) have maps where asked for."""

    def make(with_maps, without=()):
        (tmp_path / "study" / "test_tiles").mkdir(parents=True)
        (tmp_path / "study" / "test_tiles" / "t_reference.png").write_bytes(png())
        rows, confusions = [], {}
        tiles = [TileConfusion(name=name, full=np.eye(2, dtype=np.int64)) for name in ("big", "t")]
        one = TrialConfusion(classes=("a", "b"), exclude_from_mean=(), tiles=tuple(tiles))
        for variant, frac, seed in (*with_maps, *without):
            key = f"{variant}-{frac}-{seed}"
            confusions[key] = one
            model = variant.partition("-")[0]
            rows.append((key, variant, model, frac, seed, key, str(tmp_path / key)))
            if (variant, frac, seed) in with_maps:
                (tmp_path / key / "maps").mkdir(parents=True)
                (tmp_path / key / "maps" / "t.png").write_bytes(png(1))
        columns = ["trial_key", "variant", "model", "label_frac", "seed", "run_id", "artifact_uri"]
        trials = pd.DataFrame(rows, columns=columns)
        record = StudyRecord(
            info=StudyInfo(name="s", status="finished"), trials=trials, confusions=confusions,
            failures={}, notes=(), tracking_uri="sqlite:///none.db", run_id="r",
            artifact_uri=str(tmp_path / "study"),
        )  # fmt: skip
        return record, trials

    return make


def test_variants_in_their_order_and_the_ends_of_the_fractions(scored) -> None:
    pairs = [(v, f, 3) for f in (1.0, 0.1, 0.5) for v in ("urec", "unet")]
    mapped = find_maps(*scored(pairs, [("unet", 0.1, 4), ("urec", 0.1, 4)]))
    assert [(arms.label_frac, arms.seed) for arms in mapped.arms] == [(0.1, 3), (1.0, 3)]
    assert dict(mapped.arms[0].trial_keys) == {"unet": "unet-0.1-3", "urec": "urec-0.1-3"}
    assert mapped.arms[0].pair == ("unet", "urec")


def test_tiles_without_reference_are_counted_and_colours_come_from_the_palette(scored) -> None:
    mapped = find_maps(*scored([("unet", 0.1, 1), ("urec", 0.1, 1)]))
    assert list(mapped.references) == ["t"]
    assert mapped.num_left_out == 1
    assert mapped.shape("t") == (4, 6)
    assert mapped.colors.tolist() == [list(color) for color in PALETTE]
    assert (mapped.reference("t") == 0).all()
    assert (mapped.prediction("unet-0.1-1", "t") == 1).all()
    assert mapped.image("t") is None
    assert mapped.reconstruction("unet-0.1-1", "t") is None


@pytest.mark.parametrize(
    ("with_maps", "without"),
    [
        ([], [("unet", 0.1, 1), ("urec", 0.1, 1)]),
        ([("unet", 0.1, 1)], [("urec", 0.1, 1)]),
        ([("unet", 0.1, 1), ("urec", 0.2, 1)], []),
        ([("unet", 0.1, 1)], [("urec", 0.1, 2)]),
        ([("unet", 0.1, 1), ("urec", 0.1, 2)], []),
    ],
)
def test_two_variants_must_meet_at_one_fraction_and_seed(scored, with_maps, without) -> None:
    assert find_maps(*scored(with_maps, without)) is None


def test_no_trial_no_maps(scored) -> None:
    record, trials = scored([])
    assert find_maps(record, trials) is None


def test_an_exported_study_has_none(scored) -> None:
    record, trials = scored([("unet", 0.1, 1), ("urec", 0.1, 1)])
    assert find_maps(record, trials) is not None
    assert find_maps(dataclasses.replace(record, is_exported=True), trials) is None


def test_a_reference_that_is_no_picture_is_refused(scored, tmp_path) -> None:
    record, trials = scored([("unet", 0.1, 1), ("urec", 0.1, 1)])
    (tmp_path / "study" / "test_tiles" / "t_reference.png").write_bytes(b"GIF89a")
    with pytest.raises(StudyDataError, match="in the reference of test tile t"):
        find_maps(record, trials)


def test_of_two_baselines_and_another_model_the_pair_is_one_that_is_tested(scored) -> None:
    record, trials = scored([(v, 0.1, 3) for v in ("unet-a", "unet-b", "urec")])
    variants = [
        {"name": name, "label": name, "short_label": name, "method": name.partition("-")[0],
         "is_baseline": name != "urec", "levels": {}}
        for name in ("unet-a", "unet-b", "urec")
    ]  # fmt: skip
    info = StudyInfo(name="s", status="finished", document={"variants": variants})
    (arms,) = find_maps(dataclasses.replace(record, info=info), trials).arms
    assert arms.pair == ("unet-a", "urec")
