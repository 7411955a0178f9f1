"""The command that applies a trained model to new rasters.

`python -m trainables.predict --model RUN_OR_CHECKPOINT --out DIR IMAGE...`
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, get_args

import torch
from tqdm import tqdm

from contract.mlflow_store.logins import TrackingUri, hide_logins
from contract.mlflow_store.sqlite_address import sqlite_file
from contract.mlflow_store.tracking_store import (
    DEFAULT_TRACKING_URI,
    first_call,
    limit_client,
    resolve,
    store_failures,
)
from contract.names import MODEL_FILE, TRIAL_FOLDER_TAG, TRIALS
from trainables.data.layouts.file_names import check_names
from trainables.errors import ConfigError, DataError, problems_text
from trainables.networks.model_file import TrainedModel
from trainables.predict.raster_address import RasterAddress
from trainables.predict.raster_input import open_raster
from trainables.predict.raster_prediction import PredictionConfig, Predictor
from trainables.settings.config import Precision
from trainables.settings.processes import keep_freed_memory

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

_RUN_ID: Final = re.compile(r"(?:runs:/+)?([0-9a-f]{32})/?")
_LOGGED_BEFORE: Final = "mlflow.log-model.history"
"""Tag of runs whose model lies among their artifacts, as earlier versions put it."""
_MODEL_ID: Final = re.compile(r"(?:models:/+)?(m-[0-9a-f]{32})/?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Predict rasters; 0 = all written, 2 = refused or unreadable, 130 = stopped."""
    options = _parse(arguments)
    keep_freed_memory()
    try:
        for file in _predict(options):
            print(file)
    except (ConfigError, DataError) as error:
        print(f"trainables.predict: {hide_logins(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "trainables.predict: stopped; the image at hand was not written",
            file=sys.stderr,
        )
        return 130
    return 0


def _predict(options: argparse.Namespace) -> list[Path]:
    """Predict every image, all of them checked before the first.

    Returns:
        The files written, those of an image beside each other.

    Raises:
        ConfigError: For options that cannot be used.
        DataError: For a model or images that cannot be used.
    """
    check_names([options.model], "--model")
    check_names([options.out.absolute()], "--out")
    check_names([image.shown for image in options.images], "image")
    device = _device(options.device)
    trained = load_trained(options.model, options.tracking_uri)
    config = _config(options, trained)
    predictor = Predictor(trained, config, device)
    counts = _check(options.images, options.out, config, trained, predictor)
    written = []
    for image, num_windows in zip(options.images, counts, strict=True):
        # disable=None: no bar where nobody watches, such as a log file.
        with tqdm(total=num_windows, desc=image.stem, unit=" windows", disable=None) as bar:
            written += predictor.predict(image, options.out, bar.update)
    compared = predictor.in_bf16
    if compared is not None and compared.num_compared:  # images may have no pixel with data
        print(
            f"trainables.predict: in bf16 {compared.num_equal / compared.num_compared:.3%} of "
            f"{compared.num_compared:,} pixels of windows that were computed in fp32 too have the "
            "same class",
            file=sys.stderr,
        )
    return written


def load_trained(model: str, tracking_uri: str | None = None) -> TrainedModel:
    """The model that an option, `--model`, names.

    Args:
        model: A model file, the folder of a confirmation trial, with or without its seed (of an
            arm's repeats, one keeps its model), or a run of one or its model in MLflow (the id,
            or `runs:/` or `models:/` and the id).
        tracking_uri: MLflow server or database; None for MLFLOW_TRACKING_URI, or else
            mlflow.db in the working folder.

    Raises:
        DataError: If there is no such model, or it cannot be read.
    """
    path = Path(model).expanduser()
    if path.is_file():
        return TrainedModel.load(path)
    if path.is_dir():
        if (path / MODEL_FILE).is_file():
            return TrainedModel.load(path / MODEL_FILE)
        files = [*path.glob(f"*/{MODEL_FILE}"), *path.glob(f"*/*/{MODEL_FILE}")]
        if not files:  # of an arm's repeats, the one with the best validation keeps its model
            arm = path.resolve().name.rpartition("-s")[0]
            files = [*path.resolve().parent.glob(f"{arm}-s*/{MODEL_FILE}")] if arm else []
        found = sorted(file.parent.name for file in files)
        advice = (
            f"choose a trial that kept its model, such as {found[0]}"
            if found
            else "take a confirmation trial that has finished; search trials keep no weights"
        )
        raise DataError(f"--model must hold {MODEL_FILE}, got the folder {model!r}; {advice}")
    kept = list(path.parent.glob(f"{path.name}-s*/{MODEL_FILE}"))
    if len(kept) == 1:
        return TrainedModel.load(kept[0])
    if match := _RUN_ID.fullmatch(model):
        return _load_of_run(match[1], resolve(tracking_uri))
    if match := _MODEL_ID.fullmatch(model):
        return _load_of_model(match[1], resolve(tracking_uri))
    raise DataError(
        f"--model must be a {MODEL_FILE}, the folder of a confirmation trial or the id of its "
        f"run or model in MLflow, got {model!r}; there is no such file or folder"
    )


def _load_of_run(run_id: str, uri: TrackingUri) -> TrainedModel:
    """The model of a run: its artifact, the file in the trial's folder, or its model in MLflow."""
    with _mlflow_client(f"a run with a model, got {run_id!r}", uri) as client:
        with first_call():
            run = client.get_run(run_id)
        if any(entry.path == MODEL_FILE for entry in client.list_artifacts(run_id)):
            with tempfile.TemporaryDirectory() as folder:
                return TrainedModel.load(
                    Path(client.download_artifacts(run_id, MODEL_FILE, folder))
                )
        folder_of_trial = _trial_folder(client, run)
        if folder_of_trial is not None and (folder_of_trial / MODEL_FILE).is_file():
            return TrainedModel.load(folder_of_trial / MODEL_FILE)
        if _LOGGED_BEFORE in run.data.tags:
            with tempfile.TemporaryDirectory() as folder:
                path = f"model/data/{MODEL_FILE}"
                return TrainedModel.load(Path(client.download_artifacts(run_id, path, folder)))
        models = run.outputs.model_outputs if run.outputs else []
        if models:
            return _load_logged(client, models[0].model_id, uri)
    raise DataError(
        f"--model must be a run with a model, got {run_id!r} ({run.data.tags.get('phase')} run, "
        f"trial {run.data.tags.get('trial_key')}) without the artifact {MODEL_FILE}, without "
        f"{'a known folder' if folder_of_trial is None else folder_of_trial / MODEL_FILE} and "
        "without a model in MLflow; give the folder of a confirmation trial, "
        "<output>/<study>/trials/confirm-..., as --model"
    )


def _load_of_model(model_id: str, uri: TrackingUri) -> TrainedModel:
    """A model of MLflow's."""
    with _mlflow_client(f"a model of MLflow's, got {model_id!r}", uri) as client:
        return _load_logged(client, model_id, uri)


def _load_logged(client: MlflowClient, model_id: str, uri: TrackingUri) -> TrainedModel:
    from mlflow.artifacts import download_artifacts

    with first_call():
        place = client.get_logged_model(model_id).artifact_location
    with tempfile.TemporaryDirectory() as folder:
        address = f"{place}/data/{MODEL_FILE}"
        file = download_artifacts(address, dst_path=folder, tracking_uri=uri.with_login)
        return TrainedModel.load(Path(file))


@contextmanager
def _mlflow_client(wanted: str, uri: TrackingUri) -> Iterator[MlflowClient]:
    """A client of MLflow that answers; what goes wrong with it is one line.

    Args:
        wanted: What `--model` must be, and what it was.
        uri: Server or database.
    """
    database = sqlite_file(uri)
    if database is not None and not database.is_file():  # MLflow would create it
        raise DataError(
            f"--tracking-uri must be an MLflow server or database, got {str(uri)!r}, which "
            "does not exist; give that of the study, or the folder of the trial as --model"
        )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    limit_client()

    def refuse(reason: str, advice: str) -> DataError:
        return DataError(
            f"--model must be {wanted} in {uri}: {reason}; {advice}, or give another --tracking-uri"
        )

    with store_failures(refuse):
        from mlflow.tracking import MlflowClient

        if uri.is_database:  # asked once; MLflow would try for minutes, and tell every time
            import sqlalchemy

            with first_call():
                sqlalchemy.create_engine(uri.with_login, poolclass=sqlalchemy.NullPool).connect()
        yield MlflowClient(tracking_uri=uri.with_login)


def _trial_folder(client: MlflowClient, run: Run) -> Path | None:
    """The folder into which the trial of a run wrote; None if its record does not say."""
    tags = run.data.tags
    if TRIAL_FOLDER_TAG in tags:
        return Path(tags[TRIAL_FOLDER_TAG])
    if not {"mlflow.parentRunId", "trial_key"} <= set(tags):
        return None
    study = client.get_run(tags["mlflow.parentRunId"]).data.params
    if not {"output", "name"} <= set(study):
        return None
    return Path(study["output"]) / study["name"] / TRIALS / tags["trial_key"]


def _config(options: argparse.Namespace, trained: TrainedModel) -> PredictionConfig:
    """Window and overlap of the model's test; half the window where only that is given."""
    window_px, overlap_px = options.window, options.overlap
    if window_px is None:
        window_px = trained.window_px
        default_px = window_px - trained.step_px
    else:
        default_px = window_px // 2
    return PredictionConfig(
        window_px=window_px,
        overlap_px=default_px if overlap_px is None else overlap_px,
        probabilities=options.probabilities,
        reconstruction=options.reconstruction,
        polygons=options.polygons,
        min_area_m2=options.min_area,
        simplify_m=options.simplify,
        tta=options.tta,
        precision=options.precision,
    )


def _check(
    images: Sequence[RasterAddress],
    out: Path,
    config: PredictionConfig,
    trained: TrainedModel,
    predictor: Predictor,
) -> list[int]:
    """Number of windows of every image, once all of them are known to be usable."""
    problems, counts = [], []
    names = Counter(image.stem.casefold() for image in images)  # some disks ignore case
    for image in images:
        if names[image.stem.casefold()] > 1:
            problems.append(f"images must have distinct names, got {image.stem!r} in {image.shown}")
        if not image.stem:
            problems.append(f"images must be files with a name, got {image.shown!r}")
        try:
            with open_raster(image, trained) as raster:
                counts.append(predictor.windows(raster).num_windows)
        except DataError as error:
            problems.append(str(error))
    inputs = {image.file.resolve() for image in images if image.file is not None}
    problems += [
        f"--out must not overwrite an input, got {file}; choose another folder"
        for image in images
        for file in config.files(image, out)
        if file.resolve() in inputs
    ]
    if out.exists() and not out.is_dir():
        problems.append(f"--out must be a folder, got the file {out}; choose another")
    if problems:
        raise DataError(problems_text(problems))
    return counts


def _device(name: str | None) -> torch.device:
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise ConfigError("--device must be cpu on a machine without CUDA GPU, got 'cuda'")
    if name != "cpu" and has_cuda:
        torch.backends.cudnn.deterministic = True  # the same image twice gives the same bytes
        return torch.device("cuda")
    return torch.device("cpu")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse; the message may quote a mistyped option with an address."""
        super().error(hide_logins(message))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m trainables.predict",
        description="Apply a trained model to rasters of any size. Writes NAME_classes.tif for "
        "every IMAGE, a cloud-optimised GeoTIFF that lies exactly over it, and a style for QGIS.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "images",
        metavar="IMAGE",
        nargs="+",
        type=RasterAddress,
        help="GeoTIFF or other "
        "raster, PNG, JPEG; a file, a URL, or a path of GDAL such as /vsizip/a.zip/b.tif",
    )
    add(
        "--model",
        required=True,
        help=f"a {MODEL_FILE}, the folder of a confirmation trial (its seed may be left out), or "
        "the id of its run or model in MLflow",
    )
    add("--out", required=True, type=Path, metavar="DIR", help="folder to write to")
    add("--probabilities", action="store_true", help="also write NAME_probabilities.tif")
    add(
        "--reconstruction",
        action="store_true",
        help="also write NAME_reconstruction.tif; for networks that reconstruct",
    )
    add(
        "--polygons",
        action="store_true",
        help="also write NAME_polygons.gpkg: class, area and mean confidence of each piece",
    )
    add(
        "--min-area",
        type=float,
        default=0.0,
        metavar="M2",
        help="polygons that are smaller join their largest neighbour; default: 0",
    )
    add(
        "--simplify",
        type=float,
        default=0.0,
        metavar="M",
        help="metres by which borders of polygons may move, without gaps; default: 0",
    )
    add(
        "--tta",
        action="store_true",
        help="average over the eight turns and flips of each window: eight times the time",
    )
    add(
        "--precision",
        choices=get_args(Precision),
        default="fp32",
        help="arithmetic of the network; bf16 is faster where the processor or card has it and "
        "changes the class of some pixels, whose share is told; default: fp32",
    )
    add("--window", type=int, metavar="N", help="side of a window in pixels; default: the model's")
    add(
        "--overlap",
        type=int,
        metavar="N",
        help="pixels that windows share; default: the model's, or half of --window",
    )
    add("--device", choices=("cpu", "cuda"), help="default: cuda where there is one")
    add("--tracking-uri", metavar="URI", help=f"MLflow; default: {DEFAULT_TRACKING_URI}")
    return parser.parse_args(arguments)
