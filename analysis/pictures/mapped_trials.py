"""Which trials of a study have maps, at which fractions they meet, and on which tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.pictures.maps.maps import (
    ClassMap,
    Picture,
    decode_classes,
    decode_palette,
    decode_picture,
    image_content,
    predicted_content,
    reconstruction_content,
    reference_content,
)
from analysis.pictures.trial_pictures import png_size
from analysis.reading.schema import StudyDataError
from analysis.reading.styles import pairs_in

if TYPE_CHECKING:
    import pandas as pd

    from analysis.reading.sources.record import StudyRecord


@dataclass(frozen=True, kw_only=True)
class MappedArms:
    """The trials at one annotation fraction that keep maps: one per variant, of one seed."""

    label_frac: float
    seed: int
    trial_keys: Mapping[str, str]
    """By variant, in the order of the record; two or more."""

    pair: tuple[str, str]
    """The two that are compared pixel by pixel: the reference and the variant of the first test
    that the study makes of them; the first two where it makes none."""


@dataclass(frozen=True, kw_only=True)
class MappedStudy:
    """Reads the maps of a study."""

    record: StudyRecord
    classes: tuple[str, ...]
    """Names (K)."""
    colors: Picture
    """Colours of the classes (K, 3)."""
    references: Mapping[str, bytes]
    """By tile, in order: the files of those test tiles that have one."""
    num_left_out: int
    """Test tiles without: they were too large to be kept."""
    arms: tuple[MappedArms, ...]
    """At the smallest and the largest fraction, or at one; never empty."""

    def shape(self, tile: str) -> tuple[int, int]:
        """Height and width of a test tile, px.

        Raises:
            StudyDataError: If its reference is no PNG.
        """
        try:
            width_px, height_px = png_size(self.references[tile])
        except ValueError as error:
            raise StudyDataError(f"{error} in the reference of test tile {tile}") from error
        return height_px, width_px

    def reference(self, tile: str) -> ClassMap:
        """Reference (H, W).

        Raises:
            StudyDataError: If the file is not such a map.
        """
        return decode_classes(
            self.references[tile],
            len(self.classes),
            where=f"the reference of test tile {tile}",
            may_be_unknown=True,
        )

    def prediction(self, trial_key: str, tile: str) -> ClassMap:
        """What a trial predicted (H, W).

        Raises:
            StudyDataError: If there is no such file, or it does not fit.
        """
        where = f"the map of test tile {tile} of trial {trial_key}"
        content = predicted_content(self.record, trial_key, tile)
        if content is None:
            raise StudyDataError(
                f"a trial must keep the maps of all test tiles or none, lost {where}"
            )
        return decode_classes(content, len(self.classes), where=where, shape=self.shape(tile))

    def image(self, tile: str) -> Picture | None:
        """Image (H, W, 3); None where none is kept."""
        content = image_content(self.record, tile)
        where = f"the image of test tile {tile}"
        if content is None:
            return None
        return decode_picture(content, where=where, shape=self.shape(tile))

    def reconstruction(self, trial_key: str, tile: str) -> Picture | None:
        """A trial's reconstruction (H, W, 3); None where it has none."""
        content = reconstruction_content(self.record, trial_key, tile)
        where = f"the reconstruction of test tile {tile} of trial {trial_key}"
        if content is None:
            return None
        return decode_picture(content, where=where, shape=self.shape(tile))


def find_maps(record: StudyRecord, scores: pd.DataFrame) -> MappedStudy | None:
    """The maps that a study keeps.

    Args:
        record: The study.
        scores: As from `scores.score_trials`.

    Returns:
        None where no two variants have maps at one fraction: in older studies, say.

    Raises:
        StudyDataError: If a reference is not as a study writes it.
    """
    if scores.empty:
        return None
    confusion = record.confusions[str(scores["trial_key"].iloc[0])]
    names = [tile.name for tile in confusion.tiles]
    found = ((name, reference_content(record, name)) for name in names)
    references = {name: content for name, content in found if content is not None}
    if not references:
        return None
    arms = _arms(record, scores, next(iter(references)))
    if not arms:
        return None
    tile, content = next(iter(references.items()))
    where = f"the reference of test tile {tile}"
    return MappedStudy(
        record=record,
        classes=confusion.classes,
        colors=decode_palette(content, len(confusion.classes), where=where),
        references=references,
        num_left_out=len(names) - len(references),
        arms=(arms[0],) if len(arms) == 1 else (arms[0], arms[-1]),
    )


def _arms(record: StudyRecord, scores: pd.DataFrame, tile: str) -> Sequence[MappedArms]:
    """Every fraction at which two variants or more have maps of the same seed, in order."""
    found = []
    for frac in sorted(float(value) for value in scores["label_frac"].unique()):
        here = scores[scores["label_frac"] == frac]
        seed = int(here["seed"].min())  # only the first confirmation seed keeps maps
        first = here[here["seed"] == seed].set_index("variant")["trial_key"]
        keys = {variant: str(first[variant]) for variant in record.styles if variant in first.index}
        kept = {
            variant: key
            for variant, key in keys.items()
            if predicted_content(record, key, tile) is not None
        }
        if len(kept) >= 2:
            one, other, *_ = kept
            for variant, reference in pairs_in(record.styles, kept)[:1]:
                one, other = reference, variant
            found.append(MappedArms(label_frac=frac, seed=seed, trial_keys=kept, pair=(one, other)))
    return found
