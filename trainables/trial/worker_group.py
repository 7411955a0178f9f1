"""A trial as a group of Ray Train workers, inside its Ray Tune trial."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError, get_context
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util import get_node_ip_address
from torch.distributed import DistBackendError, DistNetworkError

from trainables.settings.process_group import ProcessGroup
from trainables.trial.folder.trial_files import scratch_folder
from trainables.trial.group_resources import memory_tag
from trainables.trial.task import TrialTask
from trainables.trial.work import Report, do_trial
from trainables.trial.worker_reports import Address, Receiver, Sender

_POLL_S: Final = 0.5
"""Ray Train looks after its workers this often; by default it takes 2 s to see one end."""
_START_S: Final = 20.0
"""A group whose resources have not come by then is started anew, an elastic one with others."""
_RESIZE_S: Final = 60.0
"""An elastic group grows at most this often, or twice per checkpoint, from which it goes on."""
_TIMEOUT_S: Final = 2 * 3600
"""How long a worker waits for another, which may have to bring gigabytes of tiles to its node."""
_PEER_LOST: Final = (RuntimeError, DistBackendError, DistNetworkError)
"""Exactly these; torch says other things with their subclasses."""


def run_group(task: TrialTask, report: Report) -> None:
    """Run a trial on several workers and wait for its end.

    Args:
        task: The trial, and all that it may read and use.
        report: Tells Ray Tune.

    Raises:
        Exception: What a worker raised; `RayActorError` where one was lost.
    """
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", str(_POLL_S))
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", str(_START_S))
    # A process more for each group, which says that a machine will go soon: here nobody would
    # do anything about it, since a lost worker costs no more than the steps since the checkpoint.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    host = get_node_ip_address()  # type: ignore[no-untyped-call]
    with Receiver(host) as receiver, scratch_folder() as scratch:
        ended = _in_background(_trainer(task, receiver.address, str(scratch)).fit)
        _pass_on(receiver, ended, report)
        try:
            ended.result()
        except WorkerGroupError as error:
            raise _cause(error) from error


def _in_background(work: Callable[[], Any]) -> Future[Any]:
    """Run in a thread that does not keep the process from ending."""
    ended: Future[Any] = Future()

    def run() -> None:
        try:
            ended.set_result(work())
        except BaseException as error:  # noqa: BLE001  raised where the result is asked for
            ended.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return ended


def _pass_on(receiver: Receiver, ended: Future[Any], report: Report) -> None:
    while True:
        is_last = ended.done()
        received = receiver.receive(0.0 if is_last else _POLL_S)
        if received is not None:
            report(received)
            receiver.take()
        elif is_last:
            return


def _trainer(task: TrialTask, address: Address, scratch: str) -> TorchTrainer:
    low, high = task.resources.workers
    gpus = task.resources.gpus
    scaling: dict[str, Any] = {  # ray's types know those of its first version alone
        "num_workers": high if low == high else (low, high),
        "use_gpu": gpus > 0,
        "resources_per_worker": {
            "CPU": task.resources.cpus,
            "memory": memory_tag(task.folder),
        }
        | ({"GPU": gpus} if gpus > 0 else {}),
        "elastic_resize_monitor_interval_s": max(_RESIZE_S, 2 * task.checkpoint_every_s),
    }
    return TorchTrainer(
        _on_worker,
        train_loop_config={"task": task, "address": address},
        # Checkpoints and scores travel between CPUs, all else between cards.
        torch_config=TorchConfig(
            backend="cpu:gloo,cuda:nccl" if gpus > 0 else "gloo", timeout_s=_TIMEOUT_S
        ),
        scaling_config=ScalingConfig(**scaling),
        run_config=RunConfig(
            name=task.trial.key,
            storage_path=scratch,  # nothing is kept there: trials write their own state
            # A lost worker is a failed attempt of the trial, which Tune counts and repeats.
            failure_config=FailureConfig(max_failures=0),
        ),
    )


def _on_worker(config: dict[str, Any]) -> None:
    context = get_context()
    group = ProcessGroup(rank=context.get_world_rank(), size=context.get_world_size())
    do_trial(config["task"], group, get_device(), Sender(config["address"]).send)


def _cause(error: WorkerGroupError) -> BaseException:
    """What went wrong first: a worker that fails, or is lost, takes the others along."""
    failures: list[BaseException] = list(error.worker_failures.values())
    lost = [one for one in failures if isinstance(one, RayActorError)]
    # A worker whose peer or trial is gone says that a connection is.
    own = [
        one
        for one in failures
        if type(one) not in _PEER_LOST and not isinstance(one, ConnectionError)
    ]
    return (lost or own or failures)[0]
