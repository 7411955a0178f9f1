"""From the artifacts of a study to what is shown of its maps."""

import dataclasses
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.pictures.maps.disagreement import Tally
from analysis.pictures.picture_section import picture_section
from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.schema import StudyDataError, StudyInfo
from analysis.reading.sources.load import StudyRecord, load_study
from analysis.statistics.scores import score_trials

CLASSES = ("land", "water", "deep_water")
COLORS = [(1, 2, 3), (250, 0, 0), (0, 250, 0)]
TILES = {"a b": (64, 64), "c": (96, 160)}
SKILL = {"unet": 0.6, "urec": 0.7, "urec-all": 0.7, "urec-annotated": 0.65}


def png(classes: np.ndarray) -> bytes:
    palette = np.zeros((256, 3), np.uint8)
    palette[:3] = COLORS
    picture = Image.fromarray(classes)
    picture.putpalette(palette.tobytes())
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=95)
    return content.getvalue()


def references() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    found = {}
    for tile, shape in TILES.items():
        mask = generator.choice(3, shape, p=[0.6, 0.35, 0.05]).astype(np.uint8)
        mask[:6, :9] = 255
        found[tile] = mask
    return found


def predicted(variant: str, frac: float, reference: np.ndarray) -> np.ndarray:
    generator = np.random.default_rng([list(SKILL).index(variant), int(100 * frac)])
    guess = generator.integers(0, 3, reference.shape, dtype=np.uint8)
    right = (generator.random(reference.shape) < SKILL[variant]) & (reference != 255)
    return np.where(right, reference, guess).astype(np.uint8)


def stem(tile: str) -> str:
    return tile.replace(" ", "~20")


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., StudyRecord]:
    """A study on disk, as a store of local artifacts gives it."""

    def make(arms: Mapping[float, tuple[str, ...]], *, seeds: int = 2) -> StudyRecord:
        shown = references()
        (tmp_path / "study" / "test_tiles").mkdir(parents=True)
        for tile, mask in shown.items():
            at = tmp_path / "study" / "test_tiles"
            (at / f"{stem(tile)}_reference.png").write_bytes(png(mask))
            image = np.repeat(mask[:, :, None] % 3 * 100, 3, axis=2).astype(np.uint8)
            (at / f"{stem(tile)}.jpg").write_bytes(jpeg(image))
        rows, confusions = [], {}
        for frac, variants in arms.items():
            for variant in variants:
                for seed in range(1, seeds + 1):
                    key = f"confirm-{variant}-f{frac:.2f}-s{seed}"
                    folder = tmp_path / key
                    maps = {t: predicted(variant, frac, mask) for t, mask in shown.items()}
                    if seed == 1:
                        write_maps(folder / "maps", maps, reconstructs=variant != "unet")
                    confusions[key] = confusion(shown, maps)
                    model = variant.partition("-")[0]
                    rows.append((key, variant, model, frac, seed, key, str(folder)))
        columns = ["trial_key", "variant", "model", "label_frac", "seed", "run_id", "artifact_uri"]
        return StudyRecord(
            info=StudyInfo(name="maps", status="finished"),
            trials=pd.DataFrame(rows, columns=columns).assign(
                reached_frac=lambda made: made["label_frac"], with_val_frac=np.nan,
                annotation_minutes=np.nan,
            ),
            confusions=confusions, failures={}, notes=(), tracking_uri="sqlite:///none.db",
            run_id="parent", artifact_uri=str(tmp_path / "study"),
        )  # fmt: skip

    return make


def write_maps(folder: Path, maps: Mapping[str, np.ndarray], *, reconstructs: bool) -> None:
    folder.mkdir(parents=True)
    for tile, classes in maps.items():
        (folder / f"{stem(tile)}.png").write_bytes(png(classes))
        if reconstructs:
            grey = np.full((*classes.shape, 3), 99, np.uint8)
            (folder / f"{stem(tile)}_reconstruction.jpg").write_bytes(jpeg(grey))


def confusion(shown: Mapping[str, np.ndarray], maps: Mapping[str, np.ndarray]) -> TrialConfusion:
    tiles = []
    for tile, mask in shown.items():
        known = mask != 255
        pairs = mask[known].astype(int) * 3 + maps[tile][known]
        tiles.append(TileConfusion(name=tile, full=np.bincount(pairs, minlength=9).reshape(3, 3)))
    return TrialConfusion(classes=CLASSES, exclude_from_mean=(), tiles=tuple(tiles))


BOTH = ("unet", "urec")


def test_the_ends_of_the_fractions_and_the_first_seed(study) -> None:
    record = study({1.0: BOTH, 0.1: BOTH, 0.02: BOTH})
    section = picture_section(record, score_trials(record))
    assert [fraction.label_frac for fraction in section.fractions] == [0.02, 1.0]
    assert {fraction.seed for fraction in section.fractions} == {1}
    assert {fraction.pair for fraction in section.fractions} == {BOTH}
    assert section.classes == CLASSES
    assert section.legend == [
        ("land", "#010203"), ("water", "#FA0000"), ("deep_water", "#00FA00"),
    ]  # fmt: skip


def test_a_map_is_named_by_what_the_budget_of_its_seed_reached(study) -> None:
    """It was the mean over all seeds, which none of the budgets that were compared had reached."""
    record = study({0.1: BOTH})
    record.trials["reached_frac"] = record.trials["seed"].map({1: 0.0864, 2: 0.0532})
    (fraction,) = picture_section(record, score_trials(record)).fractions
    assert fraction.share.replace("\u00a0", " ") == "8.64 % (10 % asked for)"


def test_counts_of_tiles_by_plain_comparison(study) -> None:
    record = study({0.1: BOTH})
    section = picture_section(record, score_trials(record))
    (fraction,) = section.fractions
    assert [tile.tile for tile in fraction.tiles] == list(TILES)
    for seen in fraction.tiles:
        mask = references()[seen.tile]
        known = mask != 255
        first, second = (predicted(v, 0.1, mask) == mask for v in BOTH)
        assert seen.tally == Tally(
            both_right=(first & second & known).sum(),
            first_right=(first & ~second & known).sum(),
            second_right=(~first & second & known).sum(),
            both_wrong=(~first & ~second & known).sum(),
            unknown=6 * 9,
        )
    assert fraction.total.num_known == sum(h * w for h, w in TILES.values()) - 2 * 6 * 9


def test_crops_hold_the_pixels_of_their_place(study) -> None:
    record = study({0.1: BOTH})
    (fraction,) = picture_section(record, score_trials(record)).fractions
    assert [one.class_name for one in fraction.crops] == list(CLASSES)
    for one in fraction.crops:
        mask = references()[one.crop.tile]
        window = one.crop.window
        assert np.array_equal(one.reference, mask[window])
        assert one.num_class_px == (mask[window] == one.crop.class_index).sum()
        for variant in BOTH:
            shown = one.predicted[variant]
            assert np.array_equal(shown, predicted(variant, 0.1, mask)[window])
            wrong = (shown != mask[window]) & (mask[window] != 255)
            assert one.num_wrong(variant) == wrong.sum()
        right, other = (one.predicted[v] == one.reference for v in BOTH)
        here = one.reference == one.crop.class_index
        assert one.crop.num_first_px == (here & right & ~other).sum()
        assert one.crop.num_second_px == (here & other & ~right).sum()
        assert one.image.shape == (*one.reference.shape, 3)
        assert set(one.reconstructed) == {"urec"}
        assert (one.reconstructed["urec"] == 99).all()


def test_three_variants_are_shown_and_the_first_two_compared(study) -> None:
    variants = ("unet", "urec-all", "urec-annotated")
    record = study({0.1: variants})
    (fraction,) = picture_section(record, score_trials(record)).fractions
    assert tuple(fraction.styles) == variants
    assert fraction.pair == ("unet", "urec-all")
    for one in fraction.crops:
        assert set(one.predicted) == set(variants)
        assert set(one.reconstructed) == {"urec-all", "urec-annotated"}


def test_a_fraction_at_which_one_model_has_no_maps_is_passed_over(study, tmp_path) -> None:
    record = study({0.02: BOTH, 0.1: BOTH, 1.0: BOTH})
    (tmp_path / "confirm-urec-f0.02-s1" / "maps").rename(tmp_path / "gone")
    section = picture_section(record, score_trials(record))
    assert [fraction.label_frac for fraction in section.fractions] == [0.1, 1.0]


def test_a_model_whose_first_seed_failed_has_no_maps_to_compare(study) -> None:
    record = study({0.1: BOTH})
    key = "confirm-urec-f0.10-s1"
    confusions = {name: one for name, one in record.confusions.items() if name != key}
    trials = record.trials[record.trials["trial_key"] != key]
    failed = dataclasses.replace(record, trials=trials, confusions=confusions)
    assert picture_section(failed, score_trials(failed)) is None


def test_one_seed_and_one_fraction(study) -> None:
    record = study({0.5: BOTH}, seeds=1)
    assert len(picture_section(record, score_trials(record)).fractions) == 1


@pytest.mark.parametrize(
    "name",
    ["full", "variants", "one-seed", "empty", "searching", "broken", "absent-class", "stopped"],
)
def test_studies_without_maps_have_no_section(name: str, store: str) -> None:
    record = load_study(name, store)
    assert picture_section(record, score_trials(record)) is None


def test_tiles_too_large_for_maps_are_counted(study, tmp_path) -> None:
    record = study({0.1: BOTH})
    (tmp_path / "study" / "test_tiles" / "a~20b_reference.png").unlink()
    section = picture_section(record, score_trials(record))
    assert section.num_left_out == 1
    assert [tile.tile for tile in section.fractions[0].tiles] == ["c"]


def test_images_that_were_lost_are_left_out(study, tmp_path) -> None:
    record = study({0.1: BOTH})
    for file in [*tmp_path.rglob("*_reconstruction.jpg"), *tmp_path.rglob("test_tiles/*.jpg")]:
        file.unlink()
    (fraction,) = picture_section(record, score_trials(record)).fractions
    for one in fraction.crops:
        assert one.image is None
        assert one.reconstructed == {}


def test_a_class_that_is_nowhere_has_no_crop(study, monkeypatch) -> None:
    plain = references()
    without = {t: np.where(m == 2, 1, m).astype(np.uint8) for t, m in plain.items()}
    monkeypatch.setitem(globals(), "references", lambda: without)
    record = study({0.1: BOTH})
    section = picture_section(record, score_trials(record))
    (fraction,) = section.fractions
    assert [one.class_name for one in fraction.crops] == ["land", "water"]
    assert fraction.classes_without_crop(section.classes) == ["deep_water"]


def test_a_map_that_contradicts_its_matrix_is_refused(study, tmp_path) -> None:
    record = study({0.1: BOTH})
    file = tmp_path / "confirm-urec-f0.10-s1" / "maps" / "c.png"
    file.write_bytes(png(np.zeros(TILES["c"], np.uint8)))
    with pytest.raises(StudyDataError, match=r"confirm-urec-f0\.10-s1 must have .* in test tile c"):
        picture_section(record, score_trials(record))


def test_a_map_of_another_size_and_a_lost_map_are_refused(study, tmp_path) -> None:
    record = study({0.1: BOTH})
    file = tmp_path / "confirm-unet-f0.10-s1" / "maps" / "c.png"
    file.write_bytes(png(np.zeros((3, 4), np.uint8)))
    with pytest.raises(StudyDataError, match=r"got 3 and 4 in the map of test tile c of trial"):
        picture_section(record, score_trials(record))
    file.unlink()
    with pytest.raises(StudyDataError, match=r"all test tiles or none, lost the map .* tile c"):
        picture_section(record, score_trials(record))


def test_a_torn_reference_is_refused(study, tmp_path) -> None:
    record = study({0.1: BOTH})
    (tmp_path / "study" / "test_tiles" / "c_reference.png").write_bytes(b"torn")
    with pytest.raises(StudyDataError, match="the reference of test tile c"):
        picture_section(record, score_trials(record))
