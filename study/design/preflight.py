"""Checked before any trial: data, resources, disk, and that nobody else runs the study."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from study.settings.config import StudyConfig
from trainables.data.decoding.tiles import read_dataset
from trainables.data.layouts.dataset import load_dataset
from trainables.data.layouts.spec import DatasetSpec
from trainables.data.scenes.synthetic import write_scenes
from trainables.data.tilesets.scaling import BandScaling, fit_scaling
from trainables.data.tilesets.tileset import TileSet
from trainables.errors import ConfigError

_SCENES_SEED: Final = 0
SCENES: Final = Path("_scenes") / f"seed{_SCENES_SEED}"
"""Under the output folder; no study can be named so: names begin with a letter or digit."""
TILES: Final = "tiles"
"""Folder of decoded tiles that exceed the memory granted; the study has it while it runs."""
_MEMORY_SHARE: Final = 0.2
"""Tiles take this share of the machine's memory; Ray's object store holds a second copy."""
_CHECKPOINT_COPIES: Final = 5
"""Weights, two moments of Adam, weight average and best weights."""
_CHECKPOINTS: Final = 3
"""The last two of a running trial, and the one being written."""


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """A data set, decoded."""

    spec: DatasetSpec
    tiles: Mapping[str, TileSet]
    """By split."""
    scaling: BandScaling
    """From the values of all tiles to those the network sees; fitted on training tiles alone."""
    eroded_from: str
    """Where the eroded reference of the test tiles comes from."""
    notes: tuple[str, ...] = ()
    """What a person should know of the files although nothing is wrong, a line each."""
    unlabelled: frozenset[str] = frozenset()
    """Names of the training tiles that nobody annotated."""


def find_dataset(config: StudyConfig) -> DatasetSpec:
    """The data set that `--data` names; the built-in scenes, written if need be, without it.

    Raises:
        DataError: If it cannot be used; nothing has been written then.
    """
    if config.data is not None:
        return load_dataset(Path(config.data))
    scenes = load_dataset(write_scenes(Path(config.output) / SCENES, seed=_SCENES_SEED))
    # Their files lie as Vaihingen's do; a report must not take them for it.
    return replace(scenes, name="built-in scenes")


def read_data(config: StudyConfig, spec: DatasetSpec) -> StudyData:
    """Check and decode all tiles.

    Tiles that take more than the memory granted are decoded into `tiles/` of the study's folder,
    from which trials read windows.

    Raises:
        DataError: Listing everything that is wrong with them.
    """
    decoded = read_dataset(
        spec,
        downsample=config.training.downsample,
        memory_mib=granted_mib(config),
        folder=config.folder.resolve() / TILES,
    )
    return StudyData(
        spec=spec,
        tiles=decoded.tiles,
        scaling=fit_scaling(decoded.tiles["train"]),
        eroded_from=decoded.eroded_from,
        notes=decoded.notes,
        unlabelled=decoded.unlabelled,
    )


def granted_mib(config: StudyConfig) -> float:
    """Memory that decoded tiles may take: as configured, or a fifth of the machine's."""
    if config.tile_memory_mib is not None:
        return config.tile_memory_mib
    return _MEMORY_SHARE * machine_mib()


def machine_mib() -> float:
    """Memory of this machine, or of the container it is, MiB."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return (total if text == "max" else min(total, int(text))) / 2**20


def check_output(config: StudyConfig, concurrent: int, num_confirm: int) -> None:
    """Refuse a study that cannot write, or whose checkpoints cannot fit.

    Raises:
        ConfigError: With the folder, what the study needs and what is free.
    """
    folder = config.folder.resolve()
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        problem = "no permission at" if folder.is_dir() else "no folder:"
        raise ConfigError(
            f"--output must be a folder that can be written, got {config.output!r} ({problem} "
            f"{folder}); choose another folder"
        )
    free_mib = shutil.disk_usage(folder).free / 2**20
    needed_mib = required_disk_mib(config, concurrent, num_confirm)
    if needed_mib > free_mib:
        raise ConfigError(
            f"--output must have {needed_mib:.0f} MiB free for checkpoints, got {free_mib:.0f} MiB "
            f"at {folder}; choose another folder"
        )


def required_disk_mib(config: StudyConfig, concurrent: int, num_confirm: int) -> float:
    """Checkpoints of the running trials and weights of the confirmed ones.

    All count as U-REC's of the largest width of the study, with its largest encoder beside it.
    """
    published_mib, published_width = 25_062_729 * 4 / 2**20, 32
    width = max(training.width for training in config.trainings())
    weights_mib = published_mib * (width / published_width) ** 2 + _encoder_mib(config)
    return weights_mib * (_CHECKPOINTS * _CHECKPOINT_COPIES * concurrent + num_confirm)


def _encoder_mib(config: StudyConfig) -> float:
    """Weights of the largest pretrained encoder of a study; 0 where there is none."""
    names = {one.encoder for one in config.methods if one.encoder is not None}
    if not names:
        return 0.0
    from trainables.networks.encoders.reading import read_encoder  # imports torch

    states = [read_encoder(name).state or {} for name in names]
    return max(sum(one.nbytes for one in state.values()) for state in states) / 2**20


@contextmanager
def lock_study(folder: Path) -> Iterator[None]:
    """Hold the study's folder for this process.

    Raises:
        ConfigError: If another process holds it.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".lock"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"--name must be of a study that is not running, got {folder.name!r}, which "
                "another process runs; wait for it or choose another name"
            ) from None
        shutil.rmtree(folder / TILES, ignore_errors=True)  # of a process that was killed
        try:
            yield
        finally:
            shutil.rmtree(folder / TILES, ignore_errors=True)
            if missing and list(folder.iterdir()) == [lock]:  # refused before it had begun
                lock.unlink()
                for one in missing:
                    if any(one.iterdir()):
                        break
                    one.rmdir()
