import numpy as np
import pytest

from analysis.reading.confusion import TileConfusion, TrialConfusion
from analysis.reading.schema import StudyInfo
from analysis.reading.sources.record import StudyRecord
from analysis.reading.trials import trials_frame
from analysis.statistics.scores import score_confusion
from analysis.statistics.tile_scores import resample_tiles

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


def test_scores_are_those_of_the_pooled_resample() -> None:
    study = record(one=("x", "y", "z"))
    resamples = resample_tiles(study, ("oa", "mean_f1"))
    assert resamples is not None
    assert resamples.num_tiles == 3
    counts = [tile.full for tile in study.confusions["one"].tiles]
    # two draws of three tiles: six possible sums, and each resample is one of them
    sums = [counts[i] + counts[j] for i in range(3) for j in range(i, 3)]
    for measure in ("oa", "mean_f1"):
        possible = {round(score_confusion(s, CLASSES, ("b",))[measure], 9) for s in sums}
        assert set(np.round(resamples.by_measure[measure]["one"], 9)) == possible


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
