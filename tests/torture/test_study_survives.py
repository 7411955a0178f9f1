"""A study cannot be lost; see `harness` for what is done to it."""

import json
import os
from random import Random

import pytest
from harness.checks import read_runs
from harness.driver_kills import Torture, kill_driver
from harness.moments import CHECKPOINT, CONFIRMATION, KINDS, REPORT, SEARCH, kinds_of_round
from harness.other_losses import lose_checkpoint, lose_server, lose_worker, wait_for
from harness.tracking_server import TrackingServer
from mlflow.entities import ViewType

pytestmark = pytest.mark.slow


def test_lost_driver_worker_server_and_checkpoint_change_nothing(
    reference, make_study, first_kinds, torture_seed, mlflow_database, tmp_path, say
):
    """All of it on one study, which keeps the gate short."""
    generator = Random(f"{torture_seed} all")
    server = TrackingServer(tmp_path / "server", mlflow_database)
    study = make_study(tracking_uri=server.uri)
    torture = Torture(study, say)
    damaged = []

    def wait_for_the_damaged_trial(command):
        """Killed again before it ends, it would forget what was damaged."""
        wait_for((damaged[0] / "result.json").exists, command)

    def lose_server_after_it(command):
        wait_for_the_damaged_trial(command)
        lose_server(torture, command, server)

    try:
        server.start()
        kill_driver(
            torture,
            first_kinds,
            generator,
            during={
                SEARCH: lambda command: lose_worker(torture, command, generator),
                CONFIRMATION: wait_for_the_damaged_trial,
                REPORT: lose_server_after_it,
            },
            after={CHECKPOINT: lambda: damaged.append(lose_checkpoint(torture))},
        )
        torture.finish(reference, server.uri)
        runs = {run.key: run for run in read_runs(server.uri, ViewType.ACTIVE_ONLY)}
    finally:
        server.kill()
    assert torture.problems == [], f"seed {torture_seed}"
    said = json.loads((damaged[0] / "result.json").read_text())["damaged_checkpoints"]
    assert said == ["checkpoint.pt was damaged and not used"]
    assert runs[damaged[0].name].tags["damaged_checkpoints"] == said[0]
    assert study.end_all() == []


@pytest.mark.skipif(
    int(os.environ.get("UREC_TORTURE_MOMENTS", "0")) <= len(KINDS),
    reason="`make torture` kills the driver more often",
)
def test_driver_killed_many_times_goes_on_to_the_same_end(
    reference, make_study, num_moments, torture_seed, say
):
    """On MLflow's default store; the first five of the kills are the other test's."""
    num_missed = 0
    for number, first in enumerate(range(len(KINDS), num_moments, len(KINDS))):
        study = make_study()
        torture = Torture(study, say)
        generator = Random(f"{torture_seed} driver {number}")
        kinds = kinds_of_round(number, generator)[: num_moments - first]
        num_missed += kill_driver(torture, kinds, generator)
        torture.finish(reference, study.store)
        assert torture.problems == [], f"seed {torture_seed}, round {number}"
        assert study.end_all() == []
        say(f"{first + len(kinds)} of {num_moments} kills, seed {torture_seed}")
    say(f"moments of the report that were missed and repeated: {num_missed}")
