"""Small random tiles, packed, for the tests of the data room and of the training loop."""

import importlib
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from pyarrow import fs

from trainables.data.layouts.spec import IGNORE_INDEX
from trainables.data.tilesets.tileset import Tile, TileSet, pack_tiles

SIZES = ((70, 45), (20, 90), (64, 64))
"""Unequal tiles; the second is lower than the patches of most tests."""


@pytest.fixture(scope="session", autouse=True)
def _few_threads():
    """One, or what OMP_NUM_THREADS says.

    Tests share the machine with others, and tiny networks gain nothing from more threads.
    """
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture(scope="session")
def random_tiles() -> Callable[..., TileSet]:
    """Factory of packed random tiles named t0, t1, …, where a share of pixels is not labelled."""

    def make(
        sizes: Sequence[tuple[int, int]] = SIZES,
        *,
        num_bands: int = 3,
        num_classes: int = 3,
        unlabelled: float = 0.2,
        seed: int = 0,
        eroded: bool = False,
    ) -> TileSet:
        generator = np.random.default_rng(seed)
        tiles = []
        for index, (height, width) in enumerate(sizes):
            mask = generator.integers(0, num_classes, (height, width), dtype=np.uint8)
            mask[generator.random(mask.shape) < unlabelled] = IGNORE_INDEX
            tiles.append(
                Tile(
                    name=f"t{index}",
                    image=generator.integers(0, 256, (num_bands, height, width), dtype=np.uint8),
                    mask=mask,
                    eroded_mask=_without_border(mask) if eroded else None,
                )
            )
        return pack_tiles(tiles)

    return make


@pytest.fixture(scope="session")
def address_tiles() -> Callable[..., TileSet]:
    """Factory of tiles whose three bands spell the packed index of the pixel, base 256.

    Whatever is cut from them says where it comes from.
    """

    def make(masks: Sequence[np.ndarray]) -> TileSet:
        tiles, start = [], 0
        for index, mask in enumerate(masks):
            address = np.arange(start, start + mask.size).reshape(mask.shape)
            bands = np.stack([address // 65536, address // 256 % 256, address % 256])
            tiles.append(Tile(name=f"t{index}", image=bands.astype(np.uint8), mask=mask))
            start += mask.size
        return pack_tiles(tiles)

    return make


def _without_border(mask: np.ndarray) -> np.ndarray:
    eroded = np.full_like(mask, IGNORE_INDEX)
    eroded[1:-1, 1:-1] = mask[1:-1, 1:-1]
    return eroded


@pytest.fixture
def own_module(tmp_path, monkeypatch) -> Iterator[Callable[[str], str]]:
    """Writer of modules that can be imported until the test ends; returns their names."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def write(text: str) -> str:
        name = f"own_{tmp_path.name}_{len(names)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        names.append(name)
        return name

    yield write
    for name in names:
        sys.modules.pop(name, None)


S3_SERVER = """
import logging
from moto.moto_server import werkzeug_app
from werkzeug.serving import make_server
logging.getLogger("werkzeug").setLevel(logging.ERROR)
inner = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
handler = werkzeug_app.MotoRequestHandler
server = make_server("127.0.0.1", 0, inner, threaded=True, request_handler=handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture(scope="session")
def _s3_apart():
    """An S3 server in a process of its own: GDAL lets no thread of this one run meanwhile."""
    command = [sys.executable, "-c", S3_SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"127.0.0.1:{server.stdout.readline().strip()}"
        server.kill()


@pytest.fixture
def bucket_apart(_s3_apart, monkeypatch):
    """A fresh bucket, `s3://NAME`, to which the environment leads, and what writes to it."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL", f"http://{_s3_apart}"), ("AWS_REGION", "us-east-1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    server = fs.S3FileSystem(
        endpoint_override=_s3_apart, scheme="http", region="us-east-1", allow_bucket_creation=True
    )
    bucket = f"bucket-{uuid.uuid4().hex}"
    server.create_dir(bucket)
    return f"s3://{bucket}", server
