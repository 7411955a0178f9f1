"""Scores of a trained network on the test tiles, read once, and what is kept of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence

import torch

from contract.measures import summarise
from contract.names import CONFUSION, MAPS
from trainables.data.tilesets.tileset import TileSet
from trainables.evaluation.evaluate import evaluate_tiles
from trainables.evaluation.tile_maps import TileMaps
from trainables.networks.network import Network
from trainables.settings.config import TrainingConfig
from trainables.settings.process_group import ProcessGroup
from trainables.storage.atomic_files import write_atomically
from trainables.training.loop import TrainingData
from trainables.trial.folder.trial_files import TrialFiles


def score_test_tiles(
    model: Network,
    training: TrainingConfig,
    data: TrainingData,
    tiles: TileSet,
    *,
    map_colors: Sequence[tuple[int, int, int]] | None,
    group: ProcessGroup,
    device: torch.device,
    files: TrialFiles,
) -> dict[str, float]:
    """Score the test tiles and keep the matrix of each, and its map where wanted.

    Args:
        model: The network, in evaluation mode.
        training: For the inference window, its step and the batch size.
        data: For the names of the classes and the scaling.
        tiles: The test tiles.
        map_colors: RGB of every class, 0-255 (K), for the maps; None where none are kept.
        group: The workers; all call this, and the first writes.
        device: Where the network is.
        files: Of the trial.

    Returns:
        `test/name` and `test_eroded/name` of every measure that is defined, and `perf/test_s`: the
        wall seconds of evaluating the tiles, maps included. Empty for all workers but the first.
    """
    maps = None
    if map_colors is not None:
        maps = TileMaps(
            files.folder / MAPS, tiles, map_colors, reconstructs=model.has_reconstruction
        )
        group.wait()  # each clears away what is half written, of the others too
    num_classes = len(data.class_names)
    start = time.perf_counter()
    matrices = evaluate_tiles(
        model, tiles, training, num_classes, data.scaling, device, maps, group
    )
    test_s = time.perf_counter() - start
    if (files.folder / MAPS).is_dir():
        files.push(MAPS)
    group.wait()
    if not group.is_first:
        return {}
    record = {
        "schema": 1,
        "split": "test",
        "classes": data.class_names,
        "exclude_from_mean": data.exclude_from_mean,
        "tiles": [
            {"name": name, "eroded": None}
            | {reference: matrix.tolist() for reference, matrix in tile.items()}
            for name, tile in zip(tiles.names, matrices, strict=True)
        ],
    }
    write_atomically(files.folder / CONFUSION, json.dumps(record).encode())
    files.push(CONFUSION)
    scores = {"perf/test_s": test_s}
    for reference, split in (("full", "test"), ("eroded", "test_eroded")):
        if all(reference in tile for tile in matrices):
            pooled = torch.stack([tile[reference] for tile in matrices]).sum(dim=0).numpy()
            scores |= _named(split, summarise(pooled, data.class_names, data.exclude_from_mean))
    return scores


def _named(split: str, scores: Mapping[str, float]) -> dict[str, float]:
    """`split/name` of every measure that is defined: an absent class has none."""
    return {f"{split}/{name}": value for name, value in scores.items() if value == value}
