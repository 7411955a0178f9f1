"""Compares the maps of a study: where models disagree, and crops where they differ most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.pictures.crops import CELLS, Counts, Crop, choose_crops, crop_side, deciding_counts
from analysis.pictures.mapped_trials import MappedArms, MappedStudy, find_maps
from analysis.pictures.maps.disagreement import TileDisagreement, kinds_of, tile_disagreement
from analysis.pictures.maps.maps import ClassMap
from analysis.pictures.picture_data import (
    MAX_MAP_PX,
    CropPictures,
    FractionPictures,
    PictureSection,
)
from analysis.reading.schema import StudyDataError
from analysis.statistics.label_efficiency.shares import shares_of

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord


def picture_section(record: StudyRecord, scores: pd.DataFrame) -> PictureSection | None:
    """Compares the maps that a study keeps, at the ends of its annotation fractions.

    Args:
        record: The study.
        scores: As from `scores.score_trials`.

    Returns:
        None where no two variants have maps at one fraction: in older studies, say.

    Raises:
        StudyDataError: If a map is not as a study writes it, or contradicts its trial's
            confusion matrix.
    """
    mapped = find_maps(record, scores)
    if mapped is None:
        return None
    tiles = list(mapped.references)
    cell_px = crop_side([mapped.shape(tile) for tile in tiles]) // CELLS
    compared: list[list[tuple[TileDisagreement, Counts]]] = [[] for _ in mapped.arms]
    for tile in tiles:  # one tile at a time: all of them may not fit into memory
        reference = mapped.reference(tile)
        for arms, so_far in zip(mapped.arms, compared, strict=True):
            so_far.append(_compared(mapped, arms, tile, reference, cell_px))
    fractions = []
    for arms, of_tiles in zip(mapped.arms, compared, strict=True):
        of_pair = shares_of(scores[scores["trial_key"].isin(arms.trial_keys[v] for v in arms.pair)])
        chosen = choose_crops(tiles, [counts for _, counts in of_tiles], cell_px=cell_px)
        fractions.append(
            FractionPictures(
                label_frac=arms.label_frac,
                reached_frac=of_pair.reached(arms.label_frac),
                seed=arms.seed,
                styles={name: record.styles[name] for name in arms.trial_keys},
                pair=arms.pair,
                tiles=tuple(tile for tile, _ in of_tiles),
                crops=_cut(mapped, arms, chosen),
            )
        )
    return PictureSection(
        classes=mapped.classes,
        colors=mapped.colors,
        fractions=tuple(fractions),
        num_left_out=mapped.num_left_out,
    )


def _compared(
    mapped: MappedStudy, arms: MappedArms, tile: str, reference: ClassMap, cell_px: int
) -> tuple[TileDisagreement, Counts]:
    """The kinds of a tile's pixels: counts, a small map, and counts by class and cell."""
    keys = [arms.trial_keys[variant] for variant in arms.pair]
    kinds = kinds_of(reference, *(mapped.prediction(key, tile) for key in keys))
    seen = tile_disagreement(tile, kinds, MAX_MAP_PX)
    alone = (seen.tally.first_right, seen.tally.second_right)
    for key, num_alone in zip(keys, alone, strict=True):
        confusions = mapped.record.confusions[key].tiles
        counted_px = next((int(one.full.trace()) for one in confusions if one.name == tile), None)
        num_right = seen.tally.both_right + num_alone
        if counted_px != num_right:
            raise StudyDataError(
                f"the map of trial {key} must have the {counted_px} right pixels of its "
                f"confusion.json, got {num_right} in test tile {tile}"
            )
    counts = deciding_counts(reference, kinds, num_classes=len(mapped.classes), cell_px=cell_px)
    return seen, counts


def _cut(mapped: MappedStudy, arms: MappedArms, chosen: Sequence[Crop]) -> tuple[CropPictures, ...]:
    """The pixels of the chosen crops; every file is decoded once."""
    cut: dict[Crop, CropPictures] = {}
    for tile in dict.fromkeys(crop.tile for crop in chosen):
        image, reference = mapped.image(tile), mapped.reference(tile)
        predicted = {v: mapped.prediction(key, tile) for v, key in arms.trial_keys.items()}
        rebuilt = {v: mapped.reconstruction(key, tile) for v, key in arms.trial_keys.items()}
        for crop in (crop for crop in chosen if crop.tile == tile):
            window = crop.window
            cut[crop] = CropPictures(
                crop=crop,
                class_name=mapped.classes[crop.class_index],
                num_class_px=int((reference[window] == crop.class_index).sum()),
                image=None if image is None else image[window].copy(),
                reference=reference[window].copy(),
                predicted={v: classes[window].copy() for v, classes in predicted.items()},
                reconstructed={v: p[window].copy() for v, p in rebuilt.items() if p is not None},
            )
    return tuple(cut[crop] for crop in chosen)
