"""Runs a study: search, select, confirm; continues where it stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import optuna
import ray
from mlflow.exceptions import MlflowException
from ray import tune

from contract.mlflow_store.logins import hide_logins
from contract.names import BUDGETS, MANIFEST
from study.design.arms import Arm, longest_first, num_trials, plan_arms
from study.design.budgets.drawing import distinct_arms
from study.design.budgets.notes import share_lines
from study.design.budgets.study_budgets import Budgets
from study.design.detectable import detectable_text
from study.design.growth import last_tested, look_seeds, looks_note, looks_of
from study.design.manifest import ADVICE, processor_note
from study.design.preflight import (
    StudyData,
    check_output,
    find_dataset,
    lock_study,
    read_data,
)
from study.design.preparation import (
    budget_warnings,
    check_networks,
    compute_lines,
    prepare,
    refuse_another,
    resolve_compute,
    resolve_steps,
)
from study.errors import StudyHaltedError, is_disk_full
from study.machines.databases import OPTUNA_DATABASE
from study.machines.machines import Machines, machines_of
from study.machines.own_code import own_code
from study.machines.storage_sync import StorageSync
from study.mlflow_runs.session import (
    open_records,
    open_tracking,
    repair,
    tracking_uri,
    uploading,
    wait_for,
)
from study.mlflow_runs.similar_studies import similar_note
from study.mlflow_runs.study_run import StudyRun
from study.mlflow_runs.trial_runs import TrialRuns
from study.mlflow_runs.trial_uploads import TrialUploads
from study.mlflow_runs.upload_queue import UploadQueue, now_ms
from study.search.arm_search import ArmSearch
from study.search.optuna_database import OptunaDatabase
from study.search.study_search import StudySearch
from study.settings.config import StudyConfig
from study.trials.kept_models import KeptModels
from study.trials.listener import TrialListener
from study.trials.progress import ProgressLine
from study.trials.session_times import SessionTimes
from study.trials.study_outcome import StudyOutcome
from study.trials.study_trials import StudyTrials
from study.trials.tasks import TaskBuilder, study_store
from study.tune.scheduler import ArmScheduler
from study.tune.searcher import StudySearcher
from study.tune.trial_callback import TrialCallback
from study.tune.tuning import run_with_tune
from trainables.errors import ConfigError, DataError
from trainables.training.trace import find_trace


def run_study(config: StudyConfig) -> StudyOutcome:
    """Run or continue a study, on this machine or on the cluster that it names.

    Raises:
        ConfigError: For options that cannot be used, before anything is written.
        DataError: For data that cannot be used, before anything is written.
        StudyHaltedError: If it cannot go on, with the reason.
        KeyboardInterrupt: If it was stopped before its end.
    """
    times = SessionTimes(config.folder, is_on=config.profile)
    if config.address is not None:
        _say(f"joining the Ray cluster at {config.address}")
    with _in_one_line(), machines_of(config, config.methods) as machines:
        _note(machines.note)
        arms = plan_arms(config)
        sync = _open_store(config, machines)
        check_output(
            config, 0 if config.storage else machines.slots.concurrent, len(arms) * config.seeds
        )
        if config.data is None:
            _say("reading the built-in scenes")
        spec = find_dataset(config)
        with lock_study(config.folder):
            if config.data is not None:
                _say("reading tiles")
            data = read_data(config, spec)
            _note(*data.notes)
            config = resolve_steps(config, data)
            check_networks(config, arms, data)
            config = resolve_compute(config, data)
            trials = StudyTrials(config.trials_folder, sync, machines)
            refuse_another(config, data)
            _note(*trials.set_damaged_aside())
            sync.restore()
            refuse_another(config, data)  # by the record that came from the storage
            _note(*trials.set_damaged_aside())  # those that came from there too
            _require_manifest(config, trials)
            times.restore(sync)
            _say("opening MLflow")
            open_tracking(tracking_uri(config))
            budgets = prepare(config, data)
            arms = distinct_arms(arms, budgets)
            looks = looks_of(config)
            for line in compute_lines(config):
                _say(line)
            _note(
                processor_note(config.folder / MANIFEST),
                looks_note(config, looks),
                similar_note(config, tracking_uri(config)),
            )
            for line in share_lines(config, budgets):
                _say(line)
            _note(*budget_warnings(budgets, [one.name for one in data.spec.classes]))
            sync.save(MANIFEST, BUDGETS)
            _note(detectable_text(config, last_tested(looks)) or None)
            session = StudySession(config, arms, machines, trials, sync, times)
            return session.run(data, budgets)


class StudySession(TrialListener):
    """One run of the command: takes up what is done of a prepared study, and runs the rest."""

    def __init__(
        self,
        config: StudyConfig,
        arms: tuple[Arm, ...],
        machines: Machines,
        trials: StudyTrials,
        sync: StorageSync,
        times: SessionTimes,
    ) -> None:
        """Take up what the trials' folders say.

        Args:
            config: The study.
            arms: Its arms.
            machines: Where its trials run.
            trials: Where its trials stand.
            sync: Keeps its storage like its folder.
            times: Measures the session.
        """
        self._config = config
        self._machines = machines
        self._trials = trials
        self._sync = sync
        self._times = times
        self._models = KeptModels(config, arms, sync)
        self._runs: TrialRuns | None = None
        """In MLflow; None until `run` opens them."""
        searches = self._open_searches(longest_first(self._config, arms))
        self._num_trials = num_trials(config, arms) + sum(one.num_unplanned for one in searches)
        self._search = StudySearch(searches, look_seeds(config, looks_of(config)))

    def run(self, data: StudyData, budgets: Budgets) -> StudyOutcome:
        """Run what is left of the study.

        Args:
            data: Its data set.
            budgets: Its annotation budgets.

        Raises:
            StudyHaltedError: If it cannot go on, with the reason.
            KeyboardInterrupt: If it was stopped before its end.
        """
        record, runs = open_records(self._config)
        self._runs = runs
        _note(*record.notes)
        with (
            uploading(record, runs, self._times.total) as queue,
            self._times.kept(self._machines.slots.concurrent, queue),
        ):
            uploads = TrialUploads(runs, queue)
            for folder, outcome in self._trials.take_up():
                uploads.add(outcome, folder)
            if self._search.num_left:
                self._run_trials(data, budgets, queue, uploads)
            self._sync.remove_tiles()
            self._models.keep_best()
            models, own = self._models.kept(), _own_code(self._config)
            for file in models:
                queue.put(_log_models, [file], own, runs)
            queue.put(record.log_times, self._times.total, now_ms())
            queue.put(record.close, self._num_failed, self._is_whole)
            wait_for(queue, tracking_uri(self._config), _say)
        if queue.refused:
            record = repair(
                self._config,
                queue.refused[0],
                self._num_failed,
                self._is_whole,
                self._times.total,
                partial(_log_models, models, own),
            )
        self._times.upload()
        return self._outcome(record)

    def on_end(self, outcome: object, folder: object) -> None:
        """Tell the cluster what is left."""
        self._machines.expect(self._search.num_left)

    def _find_run(self, key: str) -> str | None:
        return None if self._runs is None else self._runs.find_id(key)

    def _open_searches(self, arms: tuple[Arm, ...]) -> list[ArmSearch]:
        database = OptunaDatabase(self._config.folder / OPTUNA_DATABASE, self._find_run)
        _note(*database.notes)
        searches = [ArmSearch(self._config, arm, database, self._trials) for arm in arms]
        self._sync.remove_database()
        for search in searches:
            _note(*search.notes)
        return searches

    def _run_trials(
        self, data: StudyData, budgets: Budgets, queue: UploadQueue, uploads: TrialUploads
    ) -> None:
        config, search, trials = self._config, self._search, self._trials
        if config.address is None:
            _say("starting Ray")
        with self._machines.ray():
            num_done = self._num_trials - search.num_left
            progress = ProgressLine(self._num_trials, num_done, queue)
            trials.add_listeners(search, uploads, self._times, self._models, self, progress)
            tasks = TaskBuilder(config, data, budgets, self._machines.slots)
            self._machines.expect(search.num_left)
            run_with_tune(
                config,
                StudySearcher(search, trials, tasks, self._machines),
                ArmScheduler(search),
                TrialCallback(trials, queue, self._times),
                self._machines.slots.gpus,
            )
            progress.close()
        if search.num_left:  # Tune takes Ctrl-C for an end like any other
            raise KeyboardInterrupt

    @property
    def _is_whole(self) -> bool:
        """Whether this run of the command goes to the end of the study."""
        return self._config.seeds_now == self._config.seeds

    @property
    def _num_failed(self) -> int:
        return sum(outcome.state == "failed" for _, outcome in self._trials.ended())

    @property
    def _num_ended(self) -> int:
        """Trials that have ended, of those up to the look at which this run ends."""
        last = self._config.seed + self._config.seeds_now
        return sum(
            outcome.trial.phase == "search" or outcome.trial.seed <= last
            for _, outcome in self._trials.ended()
        )

    def _outcome(self, record: StudyRun) -> StudyOutcome:
        config = self._config
        return StudyOutcome(
            name=config.name,
            folder=config.folder,
            tracking_uri=tracking_uri(config),
            parent_run_id=record.parent_id,
            num_trials=self._num_trials,
            num_failed=self._num_failed,
            num_left_out=self._num_trials - self._num_ended,
            is_profiled=config.profile,
            trace=find_trace(config.trials_folder) if config.profile else None,
        )


def _log_models(files: Sequence[Path], own: Sequence[str], runs: TrialRuns) -> None:
    """Put the networks of confirmed arms with their runs in MLflow; a damaged one is named."""
    for file in files:
        try:
            runs.log_model(file, own)
        except DataError as error:
            name = file.parent.name
            _note(f"the network of {name} is not among the models in MLflow: {error}")


def _own_code(config: StudyConfig) -> list[str]:
    """Code of networks of a person's own, which goes with their models."""
    try:
        return own_code(config.methods)
    except ConfigError as error:
        _note(f"models in MLflow go without the code of their network: {error}")
        return []


def _open_store(config: StudyConfig, machines: Machines) -> StorageSync:
    """The study's folder and its place in the storage, which answers.

    Raises:
        ConfigError: If it does not.
    """
    store = study_store(config)
    if store is not None:
        _say(f"opening the storage {store.shown}")
        machines.check_storage(store)
    return StorageSync(config.folder, store)


def _require_manifest(config: StudyConfig, trials: StudyTrials) -> None:
    """Refuse trials of which nobody knows to which study they belong.

    Raises:
        ConfigError: If there are trials and no `study.yaml`, which is written before the first.
    """
    path = config.folder / MANIFEST
    if not path.exists() and any(trials.keys()):
        raise ConfigError(
            f"{path} must be there, since trials of the study are, got no such file; {ADVICE}"
        )


@contextmanager
def _in_one_line() -> Iterator[None]:
    """Say what a machine or a server did wrong in one line instead of a traceback."""
    try:
        yield
    except (
        MlflowException,
        OSError,
        optuna.exceptions.StorageInternalError,
        ray.exceptions.RayError,
        tune.TuneError,
    ) as error:
        text = hide_logins(" ".join(f"{error} {error.__cause__ or ''}".split()))
        reason = "the disk is full; free space" if is_disk_full(text) else text
        raise StudyHaltedError(reason) from None  # the cause may quote a login


def _note(*notes: str | None) -> None:
    """Say what a person should know although the study goes on."""
    for note in notes:
        if note is not None:
            _say(f"note: {note}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
