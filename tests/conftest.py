"""Settings of all tests, a tiny data set, and a database with MLflow's tables."""

import contextlib
import gc
import logging
import os
import re
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
import rasterio
from hypothesis import settings
from pyarrow import fs
from rasterio.errors import NotGeoreferencedWarning

gc.set_threshold(100_000)  # as in run_study.py: imports make objects, and no garbage
# How long a test takes says nothing here. The gate tries the same cases each time, so that a change
# is judged by itself; runs by hand try new ones.
settings.register_profile("untimed", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("untimed")

TESTS = Path(__file__).parent
LONGEST_FIRST = (
    "torture/test_study_survives.py",
    "cluster/test_cluster.py",
    "cluster/test_worker_groups.py",
    "study/test_runner.py",
    "study/whole/test_damaged_files.py",
    "study/whole/test_open_house.py",
    "study/whole/test_encoders.py",
    "study/whole/test_private_server.py",
    "study/whole/test_any_raster.py",
    "analysis/test_alone.py",
    "trainables/training/test_reference_loop.py",
    "trainables/settings/test_process_group.py",
    "analysis/statistics/test_known_truth.py",
    "trainables/training/test_loop.py",
    "trainables/storage/test_store.py",
)
"""Files whose tests begin, so that no process of the tests works alone at the end."""
MARKS_OF_FILES = ("slow", "numbers")
"""Marks by whose words `.ci/run` finds the files that it hands to pytest."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin, and hold that a mark stands in the file of its test."""
    for mark in MARKS_OF_FILES:
        files = {item.path for item in items if item.get_closest_marker(mark)}
        for file in sorted(files):
            if not re.search(rf"mark\.{mark}\b", file.read_text(encoding="utf-8")):
                raise pytest.UsageError(
                    f"{file} must say pytest.mark.{mark}, since a test of it has that mark; "
                    ".ci/run would leave it out"
                )
    place = {TESTS / name: number for number, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


DATASET_YAML = """\
name: tiny
bands: [red, green, blue]
images: images/{tile}.tif
masks: masks/{tile}.tif
classes: [{name: land, value: 0}, {name: water, value: 1}, {name: wood, value: 2}]
ignore_values: [9]
splits: {train: [a*], val: [b1], test: [c*]}
"""


def _write(file: Path, bands: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    profile = {"count": count, "height": height, "width": width, "dtype": "uint8"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(file, "w", driver="GTiff", **profile) as target:
            target.write(bands)


def _write_dataset(folder: Path, *, masks: bool = True, unlabelled: tuple[str, ...] = ()) -> Path:
    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[:80, :96]
    mask = ((rows // 20 + columns // 24) % 3).astype(np.uint8)
    for tile in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        noise = generator.integers(0, 30, (3, 80, 96))
        _write(folder / "images" / f"{tile}.tif", (mask[None] * 70 + noise).astype(np.uint8))
        if masks:
            shown = np.full_like(mask, 9) if tile in unlabelled else mask
            _write(folder / "masks" / f"{tile}.tif", shown[None])
    (folder / "dataset.yaml").write_text(DATASET_YAML)
    return folder


@pytest.fixture(scope="session")
def write_dataset() -> Callable[..., Path]:
    """Writes 4 training, 1 validation and 2 test tiles of 80 x 96 pixels with a dataset.yaml."""
    return _write_dataset


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny data set; for reading only."""
    return _write_dataset(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(scope="session")
def write_encoder(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a tiny pretrained encoder as a person has it, a folder of `save_pretrained`."""

    def write(kind: str, folder: Path | None = None, *, seed: int = 0, **changed: Any) -> Path:
        import torch
        import transformers  # seconds that few tests need

        sizes = {"hidden_sizes": [4, 4, 6, 8], "depths": [1, 1, 1, 1]}
        made, given = {
            "resnet": ("ResNet", {**sizes, "embedding_size": 4, "layer_type": "basic"}),
            "convnextv2": ("ConvNextV2", {**sizes, "drop_path_rate": 0.2}),
            "swin": ("Swin", {"embed_dim": 4, "depths": [1] * 4, "num_heads": [1] * 4,
                              "window_size": 4}),
            "dinov3": ("DINOv3ViT", {"hidden_size": 8, "intermediate_size": 8,
                                     "num_hidden_layers": 8, "num_attention_heads": 2}),
        }[kind]  # fmt: skip
        config = getattr(transformers, f"{made}Config")(**(given | changed))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            named = f"{made}ForImageClassification"
            model = getattr(transformers, named, None) or getattr(transformers, f"{made}Model")
            folder = folder or tmp_path_factory.mktemp("encoder") / f"tiny-{kind}"
            model(config).save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with MLflow's tables, which take seconds to create; to be copied."""
    from mlflow.tracking import MlflowClient  # a second that most rooms' tests need not wait

    folder = tmp_path_factory.mktemp("tables")
    with contextlib.chdir(folder):  # where MLflow makes its folder of artifacts
        MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}").search_experiments()
    return folder / "mlflow.db"


_failing: list[str] = []
"""Requests to fail, each once, by a part of their method and path."""


@pytest.fixture(scope="session")
def _s3_endpoint() -> Iterator[str]:
    """`127.0.0.1:port` of an S3 server in this process, for whom every key is right."""
    # They take a second: only where they are wanted.
    from moto.moto_server import werkzeug_app
    from werkzeug.serving import make_server

    inner = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)

    def answer(request: dict[str, Any], start: Callable[..., Any]) -> Any:
        what = f"{request['REQUEST_METHOD']} {request['PATH_INFO']}?{request['QUERY_STRING']}"
        for part in _failing:
            if part in what:
                _failing.remove(part)
                request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
                start("500 Internal Server Error", [("Content-Length", "0")])
                return [b""]
        return inner(request, start)

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    handler = werkzeug_app.MotoRequestHandler
    server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def s3_uri(_s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place in a fresh bucket; processes started in a test find the keys in their environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    bucket = f"bucket-{uuid.uuid4().hex}"
    server = fs.S3FileSystem(
        endpoint_override=_s3_endpoint, scheme="http", region="us-east-1",
        allow_bucket_creation=True,
    )  # fmt: skip
    server.create_dir(bucket)
    endpoint = quote(_s3_endpoint, safe="")
    return f"s3://{bucket}/studies?endpoint_override={endpoint}&scheme=http&region=us-east-1"


@pytest.fixture
def failing_s3_uri(s3_uri: str) -> Iterator[tuple[str, list[str]]]:
    """The same, and the list of requests that are to fail: `PUT`, `?partNumber=2`, …, each once."""
    yield s3_uri, _failing
    _failing.clear()
