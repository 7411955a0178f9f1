"""`optuna.db`: what the searches tried and found, for tools that show an Optuna database.

The trials' folders are the truth. From here only what they do not say is read: the values of
trials that an earlier version began, which wrote them nowhere else.
"""

from __future__ import annotations

import copy
import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import optuna
from optuna.trial import FrozenTrial

from study.machines.databases import create_optuna_database, remove_journals
from trainables.storage.folder_files import set_aside

_METRIC_NAMES: Final = "study:metric_names"
"""Where Optuna keeps what `set_metric_names` was told; studies of earlier versions have none."""
TRIAL_KEY: Final = "trial_key"
"""Attribute of a suggestion: the key of its trial; a list of several, one for each search seed."""
_RUN: Final = "mlflow_run"
"""Attribute with the ids of their runs in MLflow, in the same order."""


class OptunaDatabase:
    """The database of a study; a damaged one makes way for a new one."""

    def __init__(
        self, path: Path, find_run: Callable[[str], str | None] = lambda key: None
    ) -> None:
        """Open the database, or create it.

        Args:
            path: The file.
            find_run: Returns the id of a trial's run in MLflow, by the trial's key; None where it
                is not known.
        """
        self._find_run = find_run
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.notes: list[str] = []
        """What a person must know of the file, a line each."""
        if path.exists() and not _is_whole(path):
            remove_journals(path)
            kept = set_aside(path)
            self.notes.append(
                f"{path} was damaged and is kept as {kept.name}; it is written anew from the "
                "trials' folders"
            )
        self._storage = optuna.storages.RDBStorage(create_optuna_database(path.resolve()))

    def values(self, arm: str, title: str) -> dict[int, Mapping[str, Any]]:
        """Hyperparameters of the trials of an arm, by number.

        Args:
            arm: Name of the arm, as which earlier versions wrote it.
            title: As which it is written now.
        """
        study_id = self._find_study(title)
        if study_id is None:
            study_id = self._find_study(arm)
        if study_id is None:
            return {}
        trials = self._storage.get_all_trials(study_id, deepcopy=False)
        return {one.number: one.params for one in trials}

    def write(self, shown: ShownArm, trials: Sequence[FrozenTrial]) -> ArmRecord:
        """Make the database agree with the trials of an arm, and keep its record open.

        Args:
            shown: What a person reads of the arm.
            trials: All of its trials so far, in the order of their numbers, with the attributes
                and validations that are shown.
        """
        if shown.arm != shown.title:
            self._remove(shown.arm)
        study_id = self._find_study(shown.title)
        if study_id is not None:
            known = self._storage.get_all_trials(study_id, deepcopy=False)
            named = self._storage.get_study_system_attrs(study_id).get(_METRIC_NAMES)
            if named and list(map(_summary, known)) == list(map(_summary, trials)):
                return self._record(study_id, [one._trial_id for one in known])
            self._storage.delete_study(study_id)
            trials = _with_runs(trials, known)
        made = optuna.create_study(
            storage=self._storage, study_name=shown.title, direction="maximize"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made.set_metric_names([shown.metric])
        made.set_user_attr("study", shown.study)
        made.set_user_attr("arm", shown.arm)
        record = self._record(made._study_id, [])
        for trial in trials:
            record.add(trial)
        return record

    def _record(self, study_id: int, ids: list[int]) -> ArmRecord:
        return ArmRecord(self._storage, study_id, ids, self._find_run)

    def _remove(self, name: str) -> None:
        study_id = self._find_study(name)
        if study_id is not None:
            self._storage.delete_study(study_id)

    def _find_study(self, arm: str) -> int | None:
        try:
            return self._storage.get_study_id_from_name(arm)
        except KeyError:
            return None


@dataclass(frozen=True, kw_only=True)
class ShownArm:
    """What a tool that shows the database tells of an arm's search."""

    title: str
    """Name of Optuna's study: `U-REC, 1 %`."""
    arm: str
    """Name of the arm."""
    study: str
    """Name of the study."""
    metric: str
    """What the value of a trial is: `val/mean_f1`."""


class ArmRecord:
    """The trials of one arm in the database."""

    def __init__(
        self,
        storage: optuna.storages.RDBStorage,
        study_id: int,
        ids: list[int],
        find_run: Callable[[str], str | None],
    ) -> None:
        """Write to a study of Optuna's.

        Args:
            storage: The database.
            study_id: Optuna's number of the study.
            ids: Optuna's numbers of its trials, in their order.
            find_run: As in `OptunaDatabase`.
        """
        self._find_run = find_run
        self._storage = storage
        self._study_id = study_id
        self._ids = ids

    def add(self, trial: FrozenTrial) -> None:
        """Write a new trial, values and all, or nothing of it."""
        self._ids.append(self._storage.create_new_trial(self._study_id, trial))

    def add_validation(self, number: int, step: int, score: float) -> None:
        """Write a validation of a trial, at the step after which it was."""
        self._storage.set_trial_intermediate_value(self._ids[number], step, score)

    def end(self, trial: FrozenTrial) -> None:
        """Write how a trial ended, and its runs in MLflow, which began with it."""
        keys = trial.user_attrs[TRIAL_KEY]
        runs = [self._find_run(key) for key in ([keys] if isinstance(keys, str) else keys)]
        if None not in runs:
            found = runs if len(runs) > 1 else runs[0]
            self._storage.set_trial_user_attr(self._ids[trial.number], _RUN, found)
        self._storage.set_trial_state_values(self._ids[trial.number], trial.state, trial.values)


def _with_runs(trials: Sequence[FrozenTrial], known: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Trials with the runs in MLflow that the database knew of them."""
    runs = {
        str(one.user_attrs.get(TRIAL_KEY)): one.user_attrs[_RUN]
        for one in known
        if _RUN in one.user_attrs
    }
    linked = []
    for trial in trials:
        one = copy.copy(trial)
        run = runs.get(str(trial.user_attrs.get(TRIAL_KEY)))
        one.user_attrs = trial.user_attrs | ({} if run is None else {_RUN: run})
        linked.append(one)
    return linked


def _summary(trial: FrozenTrial) -> tuple[Any, ...]:
    """What must agree: validations only of trials that have ended, since the others go on."""
    ended = trial.intermediate_values if trial.state.is_finished() else None
    return trial.state, trial.values, trial.params, trial.user_attrs.get(TRIAL_KEY), ended


def _is_whole(path: Path) -> bool:
    """Whether a file is a database that holds the tables of Optuna, and is sound."""
    try:
        with closing(sqlite3.connect(path, timeout=30)) as database:
            (answer,) = database.execute("PRAGMA quick_check").fetchone()
            database.execute("SELECT count(*) FROM trial_params")
            return bool(answer == "ok")
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return False
        raise OSError(f"{path} must be a database that can be read, got: {error}") from error
    except sqlite3.DatabaseError:
        return False
