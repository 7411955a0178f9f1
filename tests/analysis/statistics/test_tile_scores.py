from itertools import combinations_with_replacement

import numpy as np
import pytest

from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import trials_frame
from analysis.statistics.scores import score_confusion, score_counts
from analysis.statistics.tile_scores import _parts, resample_tiles

CLASSES = ("a", "b")


def record(**tiles: tuple[str, ...]) -> StudyRecord:
    """Trials of this name with tiles of these, all counts different."""
    generator = np.random.default_rng(0)
    return StudyRecord(
        info=StudyInfo(name="s", status="finished"),
        trials=trials_frame([]),
        confusions={
            key: TrialConfusion(
                classes=CLASSES,
                exclude_from_mean=("b",),
                tiles=tuple(
                    TileConfusion(name=name, full=generator.integers(1, 100, (2, 2)))
                    for name in names
                ),
            )
            for key, names in tiles.items()
        },
        failures={},
        notes=(),
        tracking_uri="",
    )


def of_tiles(*tiles: list[list[int]], exclude: tuple[str, ...] = ()) -> StudyRecord:
    """One trial with these confusions."""
    made = record(one=tuple(f"t{index}" for index in range(len(tiles))))
    confusion = TrialConfusion(
        classes=("a", "b", "rare")[: len(tiles[0])],
        exclude_from_mean=exclude,
        tiles=tuple(
            TileConfusion(name=f"t{index}", full=np.array(counts))
            for index, counts in enumerate(tiles)
        ),
    )
    made.confusions["one"] = confusion  # type: ignore[index]
    return made


def test_tiles_alike_in_size_give_the_resampled_mean_itself() -> None:
    accuracies = (60, 70, 90, 80)
    study = of_tiles(*[[[hits, 100 - hits], [0, 0]] for hits in accuracies])
    resamples = resample_tiles(study, ("oa",))
    assert resamples is not None
    assert resamples.worth["oa"] == pytest.approx(4.0)
    # three draws of four tiles: their mean accuracy
    possible = {
        round((a + b + c) / 300, 9) for a, b, c in combinations_with_replacement(accuracies, 3)
    }
    assert set(np.round(resamples.by_measure["oa"]["one"], 9)) <= possible


@pytest.mark.parametrize("measure", ["oa", "mean_f1", "miou"])
def test_moves_are_the_derivative_of_the_score(measure: str) -> None:
    """Against the score itself, with one tile counted a little more."""
    generator = np.random.default_rng(3)
    tiles = generator.integers(1, 100, (5, 3, 3)).astype(np.float64)
    confusion = TrialConfusion(classes=("a", "b", "c"), exclude_from_mean=("c",), tiles=())
    parts = _parts(measure, tiles, confusion)
    moved = [
        score_counts(measure, tiles.sum(axis=0) + 1e-6 * tile, ("a", "b", "c"), ("c",))
        for tile in tiles
    ]
    seen = score_counts(measure, tiles.sum(axis=0), ("a", "b", "c"), ("c",))
    slope = (np.array(moved) - seen) / 1e-6
    if measure == "oa":  # one ratio, one factor for all tiles
        factor = np.sqrt(5 / 4 * parts.worth / (parts.worth - 1))
        np.testing.assert_allclose(parts.moves, slope * factor, rtol=1e-3)
    assert np.corrcoef(parts.moves, slope)[0, 1] > 0.99
    assert parts.moves.sum() == pytest.approx(0.0, abs=0.02)


CLEAN = [[900, 10, 0], [10, 900, 0], [0, 0, 0]]
WITH_RARE = [[900, 10, 0], [10, 900, 0], [5, 5, 30]]


def test_a_class_is_in_the_mean_of_every_resample_although_few_tiles_have_it() -> None:
    """A resample without the class had a mean of two classes: another estimate than the rest."""
    study = of_tiles(*[WITH_RARE] * 3, *[CLEAN] * 5)
    resamples = resample_tiles(study, ("mean_f1", "oa"))
    assert resamples is not None
    assert resamples.worth["mean_f1"] == pytest.approx(3.0)
    assert resamples.worth["oa"] == pytest.approx(8.0, abs=0.01)
    assert resamples.withheld == {"mean_f1": (), "oa": ()}
    drawn = resamples.by_measure["mean_f1"]["one"]
    pooled = study.confusions["one"].pooled()
    seen = score_confusion(pooled, ("a", "b", "rare"), ())["mean_f1"]
    assert drawn.mean() == pytest.approx(seen, abs=0.001)
    assert drawn.std() < 0.01  # the rare class is as good on each tile that has it


def test_the_interval_over_tiles_is_withheld_where_a_class_lies_on_two_tiles() -> None:
    study = of_tiles(*[WITH_RARE] * 2, *[CLEAN] * 6)
    resamples = resample_tiles(study, ("mean_f1", "oa"))
    assert resamples is not None
    assert resamples.withheld == {"mean_f1": ("rare",), "oa": ()}
    assert np.isnan(resamples.by_measure["mean_f1"]["one"]).all()
    assert not np.isnan(resamples.by_measure["oa"]["one"]).any()
    one_large = [[0, 0, 0], [0, 0, 0], [100, 100, 3000]]
    study = of_tiles(*[WITH_RARE] * 5, one_large)  # nearly all of it lies on one
    assert resample_tiles(study, ("miou",)).withheld == {"miou": ("rare",)}  # type: ignore[union-attr]


def test_an_excluded_class_withholds_nothing() -> None:
    study = of_tiles(*[WITH_RARE] * 2, *[CLEAN] * 6, exclude=("rare",))
    resamples = resample_tiles(study, ("mean_f1",))
    assert resamples is not None
    assert resamples.withheld == {"mean_f1": ()}
    assert resamples.worth["mean_f1"] > 7.9


def test_all_trials_see_the_same_tiles_whatever_their_order() -> None:
    study = record(one=("x", "y", "z"))
    tiles = study.confusions["one"].tiles
    turned = TrialConfusion(classes=CLASSES, exclude_from_mean=("b",), tiles=tiles[::-1])
    both = record(one=("x", "y", "z"), two=("z", "y", "x"))
    both.confusions["two"] = turned  # type: ignore[index]
    resamples = resample_tiles(both, ("oa",))
    assert resamples is not None
    np.testing.assert_array_equal(*resamples.by_measure["oa"].values())


@pytest.mark.parametrize(
    "tiles",
    [{}, {"one": ("x", "y")}, {"one": ("x", "y", "z"), "two": ("x", "y", "w")}],
    ids=["no trial", "two tiles", "other tiles"],
)
def test_nothing_where_tiles_are_few_or_differ(tiles: dict[str, tuple[str, ...]]) -> None:
    assert resample_tiles(record(**tiles), ("oa",)) is None
