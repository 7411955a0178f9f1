"""Ray: started on this machine, or a running cluster joined and checked."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import ray
from ray.autoscaler.sdk import request_resources
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.errors import StudyHaltedError
from study.machines.ray_folder import ray_folder
from study.machines.slots import Node, Slots
from study.settings.config import StudyConfig
from trainables.errors import ConfigError
from trainables.storage.store import Store

_NAMESPACE: Final = "urec-study"
_READ_S: Final = 120.0
"""How long a machine may take that starts its first process."""
_ANSWER_S: Final = 10.0
"""A head that lets a connection wait for so long is not there."""
_LATE: Final = ("timed out during startup", "Timed out waiting", "Timed out after")
"""Words of the errors of Ray's processes that did not answer in time (ray._private.node)."""
_WORKER_VARIABLES: Final = {
    # Every trial of an actor runs in a new thread; an arena for each would keep its memory.
    "MALLOC_ARENA_MAX": "1",
}
_VARIABLES: Final = _WORKER_VARIABLES | {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # Tune's own record of all trials, which nobody reads
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # they stand in the record
}


@contextmanager
def ray_on_this_machine(slots: Slots) -> Iterator[None]:
    """Ray on this machine; the terminal is left to the live line.

    Raises:
        ConfigError: If the folder of its sockets would have too long a path, or Ray takes longer to
            start than it waits for itself.
        StudyHaltedError: If Ray does not start.
    """
    options = {
        "address": "local",
        "_temp_dir": ray_folder(),
        "num_cpus": int(slots.num_cpus),
        "num_gpus": int(slots.num_gpus),
        "include_dashboard": False,
    }
    # Else processes start one after the other. A cluster may be shared: where fewer fit than are
    # asked for, Tune would give each free place to the newest trial.
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(slots.concurrent))
    began = time.monotonic()
    try:
        _init(options)
    except Exception as error:  # what took too long is an Exception of no kind of its own
        if _is_late(error):
            raise ConfigError(
                f"starting Ray took longer than {time.monotonic() - began:.0f} s; wait until the "
                "machine has less to do, or grant the study fewer CPUs; the same command continues "
                "the study"
            ) from error
        if not isinstance(error, OSError | RuntimeError | ValueError):
            raise
        raise StudyHaltedError(f"Ray did not start: {' '.join(str(error).split())}") from error
    with _shut_down_at_end():
        yield


@contextmanager
def ray_cluster(address: str, py_modules: Sequence[str] = ()) -> Iterator[None]:
    """A running cluster that this machine belongs to.

    Args:
        address: `auto`, or host and port of its head.
        py_modules: Files and folders of code that its machines lack, see `own_code`.

    Raises:
        ConfigError: If there is none.
    """
    environment: dict[str, Any] = {"env_vars": _WORKER_VARIABLES}
    if py_modules:
        environment["py_modules"] = list(py_modules)
    options = {"address": address, "namespace": _NAMESPACE, "runtime_env": environment}
    try:
        host, _, port = address.rpartition(":")
        if host:  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
        _init(options)
    except (OSError, RuntimeError, ValueError, OverflowError, AssertionError) as error:
        raise ConfigError(
            f"--address must be of a running Ray cluster that this machine belongs to, got "
            f"{address!r}: {' '.join(str(error).split())}; start one with `ray start --head`"
        ) from None
    with _shut_down_at_end():
        yield


def cluster_nodes() -> list[Node]:
    """The machines of the cluster that run now."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    return [Node(num_cpus=one.get("CPU", 0.0), num_gpus=one.get("GPU", 0.0)) for one in alive]


@contextmanager
def sole_driver(config: StudyConfig) -> Iterator[None]:
    """Hold the study's place in the storage against other drivers on this cluster.

    Raises:
        ConfigError: If another one holds it.
    """
    holder: Any = ray.remote(_Holder)
    name = Store(str(config.storage)).at(config.name).uri
    try:
        held = holder.options(name=name, num_cpus=0, scheduling_strategy=_here()).remote()
    except ValueError:
        raise ConfigError(
            f"--name must be of a study that is not running, got {config.name!r}, which another "
            "process on this cluster runs; wait for it or choose another name"
        ) from None
    try:
        yield
    finally:
        ray.kill(held)


class _Holder:
    """Lives as long as the driver that created it."""


def check_nodes(store: Store) -> None:
    """Read from the storage on every machine what was written to it here.

    Raises:
        ConfigError: If a machine cannot, naming the first.
    """
    name, content = f"probe-{uuid.uuid4().hex}", b"urec-study"
    store.write(name, content)
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    alive = [node for node in nodes if node["Alive"]]
    read: Any = ray.remote(_read)
    asked = [
        read.options(num_cpus=0, scheduling_strategy=_on(node["NodeID"])).remote(store, name)
        for node in alive
    ]
    try:
        for node, answer in zip(alive, asked, strict=True):
            where = node["NodeManagerAddress"]
            try:
                found = ray.get(answer, timeout=_READ_S)
            except ray.exceptions.RayError as error:
                last = str(error).strip().splitlines()[-1]
                raise _unreached(store, where, last) from None
            if found != content:
                raise _unreached(store, where, "what was written here is not there")
    finally:
        store.remove(name)


def _read(store: Store, name: str) -> bytes | None:
    return store.read(name)


def _unreached(store: Store, machine: str, reason: str) -> ConfigError:
    return ConfigError(
        f"--storage must be reached by all machines of the cluster, got {store.shown}, which "
        f"{machine} cannot read: {reason}"
    )


def _on(node_id: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def _here() -> NodeAffinitySchedulingStrategy:
    return _on(ray.get_runtime_context().get_node_id())


def ask_for_nodes(config: StudyConfig, gpus: float, num_left: int) -> None:
    """Tell an autoscaler, where the cluster has one, what the rest of the study could use.

    Groups say so themselves, one after the other: Ray Train overwrites what is asked for here.

    Args:
        config: The study.
        gpus: GPUs of one worker.
        num_left: Trials that have not ended; 0 gives all machines back.
    """
    num_trials = min(num_left, config.concurrent or num_left)
    bundle = {"CPU": config.cpus} | ({"GPU": gpus} if gpus else {})
    request_resources(bundles=[] if config.worker_range[1] else [bundle] * num_trials)


def _init(options: dict[str, Any]) -> None:
    for name, value in _VARIABLES.items():
        os.environ.setdefault(name, value)
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    # A scheduler's polite request to end is treated like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _is_late(error: Exception) -> bool:
    """Whether Ray gave up waiting for one of its own processes."""
    return isinstance(error, TimeoutError) or any(words in str(error) for words in _LATE)


@contextmanager
def _shut_down_at_end() -> Iterator[None]:
    try:
        yield
    finally:
        ray.shutdown()
