"""What the process of a trial is given; what it is not given it cannot read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.data.layouts.spec import ClassSpec
from trainables.data.tilesets.scaling import BandScaling
from trainables.settings.config import TrialConfig

if TYPE_CHECKING:
    from ray import ObjectRef

    from trainables.storage.store import Store


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The data set of a study, apart from its pixels and without the names of its tiles."""

    bands: tuple[str, ...]
    """Names of the image bands (C)."""
    nodata: tuple[float | None, ...]
    """Value of each band that means no data, as dataset.yaml has it."""
    classes: tuple[ClassSpec, ...]
    """Name and color of each class (K), in the order of the masks' values."""
    exclude_from_mean: tuple[str, ...]
    """Names of the classes that a mean may leave out."""
    scaling: BandScaling
    """The map from stored pixel values to those the network sees."""


@dataclass(frozen=True, kw_only=True)
class TaskResources:
    """What a trial may use of the machines."""

    workers: tuple[int, int]
    """Lowest and highest number of workers; (0, 0) where the trial runs in its own process."""
    cpus: float
    """CPUs of each worker, and so its threads."""
    gpus: float
    """GPUs of each worker; above 0 it trains on the GPU that Ray shows it."""


@dataclass(frozen=True, kw_only=True, repr=False)
class TrialTask:
    """Everything that the process of one trial is given.

    It crosses into Ray inside Tune's `config`, so it holds object references instead of pixels.

    Raises:
        ValueError: If a search trial is given test tiles.
    """

    trial: TrialConfig
    study: str
    """The study's name, which goes into the model file."""
    data: TaskData
    tiles: Mapping[str, ObjectRef[Any]]
    """References of a `TileSet` or `NodeTiles` by split; `test` for confirmation trials alone."""
    budget: ObjectRef[Any]
    """Reference of `Budget.to_plain`."""
    annotated: ObjectRef[Any]
    """Reference of the budget's `PixelSet`."""
    annotation_minutes: float | None = None
    """What annotating the budget takes; None for a study without prices."""
    val_budget: ObjectRef[Any] | None = None
    """As `budget`, of the validation tiles; None where all their labels count."""
    val_annotated: ObjectRef[Any] | None = None
    """Reference of its `PixelSet`."""
    encoder: ObjectRef[Any] | None = None
    """Reference of the `PretrainedEncoder` of the trial's method, if it has one."""
    folder: Path
    """The trial's folder, where it writes unless there is a store."""
    store: Store | None
    """The trial's place in the storage; None for a study without one."""
    resources: TaskResources
    checkpoint_every_s: float
    """Work that may be lost, in seconds."""
    keep_maps: bool = False
    """Whether the predicted maps of the test tiles are written."""
    timed_since: float | None = None
    """When the driver started this attempt, in seconds since 1970; None where nothing is timed."""
    trace: bool = False
    """Whether some of its steps are traced."""

    def __post_init__(self) -> None:
        """Keep the test tiles from the search."""
        if self.trial.phase == "search" and "test" in self.tiles:
            raise ValueError(
                f"a search trial must not be given test tiles, got them in {self.trial.key}"
            )

    def __repr__(self) -> str:
        """The key alone: Tune writes the text of what it is given into the name of every trial."""
        return f"TrialTask({self.trial.key})"
