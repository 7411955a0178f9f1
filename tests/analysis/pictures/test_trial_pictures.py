import io

import pytest
from PIL import Image

from analysis.pictures.trial_pictures import png_size, trial_pictures
from analysis.reading.sources.load import load_study
from analysis.statistics.scores import score_trials


def test_pictures_are_of_both_models_at_both_ends_and_the_lowest_seed(store: str) -> None:
    record = load_study("full", store)
    pictures = trial_pictures(record, score_trials(record))
    assert [(p.label_frac, p.variant, p.seed) for p in pictures] == [
        (0.02, "unet", 0), (0.02, "urec", 0), (1.0, "unet", 0), (1.0, "urec", 0),
    ]  # fmt: skip
    assert (pictures[0].width_px, pictures[0].height_px) == (480, 160)
    assert pictures[0].is_wide


def test_trials_without_a_picture_are_left_out(store: str) -> None:
    for study in ("one-seed", "empty"):
        record = load_study(study, store)
        assert trial_pictures(record, score_trials(record)) == []


def test_size_is_read_from_the_png_itself() -> None:
    content = io.BytesIO()
    Image.new("RGB", (37, 11)).save(content, "PNG")
    assert png_size(content.getvalue()) == (37, 11)
    with pytest.raises(ValueError, match="must be a PNG"):
        png_size(b"GIF89a")


def test_every_variant_is_shown_where_it_was_confirmed(store: str) -> None:
    record = load_study("variants", store)
    pictures = trial_pictures(record, score_trials(record))
    assert [(p.label_frac, p.variant) for p in pictures] == [
        (0.02, "unet"), (0.02, "urec-all"), (0.02, "urec-annotated"),
        (1.0, "unet"), (1.0, "urec-all"),
    ]  # fmt: skip
