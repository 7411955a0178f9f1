"""A study's folder and its store: what the driver brings from one to the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from contract.names import BUDGETS, MANIFEST, RESULT, TRIALS
from study.design.manifest import parse_manifest, read_manifest
from study.machines.databases import OPTUNA_DATABASE, remove_journals
from study.machines.session_file import TIMES, parse_sessions, read_sessions
from trainables.data.tilesets.node_tiles import remove_tiles
from trainables.errors import ConfigError
from trainables.storage.atomic_files import write_atomically
from trainables.storage.folder_files import files_below
from trainables.storage.store import Store
from trainables.trial.folder.outcomes import ENDS, FAILED, FAILURES, PLAN, read_outcome
from trainables.trial.folder.trial_files import CHECKPOINT, PREVIOUS_CHECKPOINT

_CHECKPOINTS: Final = (CHECKPOINT, PREVIOUS_CHECKPOINT)


class StorageSync:
    """Keeps a study's folder and its store alike; without a store, every method does nothing.

    Trials write to the store from wherever they run, and the driver brings what they left into
    its own folder; it brings its own files to the store. Every method may be called again after
    it failed half way, and raises OSError where the store does not answer.
    """

    def __init__(self, folder: Path, store: Store | None) -> None:
        """Connect a folder and a store.

        Args:
            folder: Of the study.
            store: The study's place in the store; None for a study without one.
        """
        self._folder = folder
        self._store = store
        self._saved: dict[str, str] = {}

    def restore(self) -> None:
        """At the start of a study: give folder and store what one has and the other lacks.

        A driver on a new machine so goes on from the store alone, and a study that was begun
        without a store goes on with one. What trials that have not ended saved stays in the
        store, where they go on from it.

        Raises:
            ConfigError: If folder and store hold different studies.
            OSError: If the store does not answer, or a file in it cannot be used.
        """
        if self._store is None:
            return
        names = self._store.names()
        stored = self._read_stored_manifest(self._store)
        here = read_manifest(self._folder / MANIFEST)
        if stored is not None:
            self._refuse_another(self._store, stored, here)
            budgets = [name for name in names if name.startswith(f"{BUDGETS}/")]
            if here is not None:  # else they are left of a study that never began
                budgets = [name for name in budgets if not (self._folder / name).exists()]
            self._store.download_all(budgets, self._folder)
            if TIMES in names:
                self._take_times(self._store)
            if OPTUNA_DATABASE in names:  # an earlier version wrote values of trials there alone
                remove_journals(self._folder / OPTUNA_DATABASE)
                self._store.download(OPTUNA_DATABASE, self._folder / OPTUNA_DATABASE)
        self._exchange_trials(self._store, names)
        # Last: with it here, the study has begun here.
        if stored is not None and (here is None or _num_written(stored) > _num_written(here)):
            self._store.download(MANIFEST, self._folder / MANIFEST)

    def save(self, *names: str) -> None:
        """Bring files and folders of the study to the store, unless this process has done so.

        Raises:
            FileNotFoundError: If there is no such file here.
        """
        if self._store is None:
            return
        for name in files_below(self._folder, *names):
            content = (self._folder / name).read_bytes()
            digest = hashlib.sha256(content).hexdigest()
            if self._saved.get(name) != digest:
                self._store.write(name, content)
                self._saved[name] = digest

    def remove_database(self) -> None:
        """Remove Optuna's database from the store: the records of trials say what it did."""
        if self._store is not None:
            self._store.remove(OPTUNA_DATABASE)

    def pull(self, key: str) -> None:
        """Bring what a trial that has ended left in the store into its folder."""
        if self._store is not None:
            held = self._store.at(TRIALS, key).names()
            self._take_trials(self._store, [f"{TRIALS}/{key}/{name}" for name in held])

    def push(self, key: str, *names: str) -> None:
        """Bring files that the driver wrote into a trial's folder to the store, in this order.

        Raises:
            FileNotFoundError: If there is no such file here.
        """
        if self._store is not None:
            for name in names:
                self._store.upload(self._trial(key) / name, f"{TRIALS}/{key}/{name}")

    def drop(self, key: str, *names: str) -> None:
        """Remove files of a trial from the store, those that are there."""
        if self._store is not None:
            for name in names:
                self._store.remove(f"{TRIALS}/{key}/{name}")

    def remove_tiles(self) -> None:
        """Remove decoded tiles from the store: no trial will ask for them."""
        if self._store is not None:
            remove_tiles(self._store)

    def is_blamed(self, error: str) -> bool:
        """Whether the text of a trial's error is about the store."""
        return self._store is not None and f"[{self._store.shown.partition('?')[0]}" in error

    def drop_checkpoints(self, key: str) -> None:
        """Remove the checkpoints of a trial that will not be gone on with from the store."""
        self.drop(key, *_CHECKPOINTS)

    def _trial(self, key: str) -> Path:
        return self._folder / TRIALS / key

    def _refuse_another(
        self, store: Store, stored: dict[str, Any], here: dict[str, Any] | None
    ) -> None:
        if here is not None and here["study_id"] != stored["study_id"]:
            raise ConfigError(
                f"--storage must hold the study of {self._folder}, got another one of this name "
                f"in {store.shown}; choose another --name or --storage"
            )

    def _read_stored_manifest(self, store: Store) -> dict[str, Any] | None:
        content = store.read(MANIFEST)
        return None if content is None else parse_manifest(content, f"{MANIFEST} in {store.shown}")

    def _take_times(self, store: Store) -> None:
        """Take the times of the store's sessions, unless as many are known here."""
        here, stored = self._folder / TIMES, store.read(TIMES)
        if stored is not None:
            sessions = parse_sessions(stored, f"{TIMES} in {store.shown}")
            if len(sessions) > len(read_sessions(here)):
                write_atomically(here, stored)

    def _exchange_trials(self, store: Store, names: list[str]) -> None:
        """Trials that have ended, from the store and to it."""
        stored: dict[str, list[str]] = {}
        for name in names:
            folder, _, rest = name.partition("/")
            if folder == TRIALS:
                stored.setdefault(rest.partition("/")[0], []).append(rest.partition("/")[2])
        wanted = [
            f"{TRIALS}/{key}/{name}"
            for key, files in stored.items()
            if not (self._trial(key) / RESULT).exists()
            and any(end in files and not (self._trial(key) / end).exists() for end in ENDS)
            for name in files
        ]
        self._take_trials(store, wanted)
        unended = {key: files for key, files in stored.items() if not set(ENDS) & set(files)}
        # A plan that only this machine has was never run: the study went on from another one.
        plans = [f"{TRIALS}/{key}/{PLAN}" for key, files in unended.items() if PLAN in files]
        attempts = [
            f"{TRIALS}/{key}/{FAILURES}"
            for key, files in unended.items()
            if FAILURES in files and not self._trial(key).exists()
        ]
        store.download_all(attempts + plans, self._folder)
        for trial in sorted((self._folder / TRIALS).glob("*")):
            there, place = set(stored.get(trial.name, ())), store.at(TRIALS, trial.name)
            files = files_below(trial, ".")
            if (trial / RESULT).exists() and RESULT not in there:
                place.remove(FAILED)  # it was repeated without the store, and finished
                there -= {FAILED}
            if any((trial / end).exists() for end in ENDS):
                if not set(ENDS) & there:
                    kept = [name for name in files if name not in _CHECKPOINTS]
                    for part in _ends_last(kept):
                        place.upload_all(trial, part)
            elif not there:  # interrupted when the study had no store: it goes on from there
                place.upload_all(trial, files)
        for key, held in stored.items():
            if set(_CHECKPOINTS) & set(held):
                outcome = read_outcome(self._trial(key))
                if outcome is not None and not outcome.goes_on:
                    self.drop_checkpoints(key)  # who should have was lost before

    def _take_trials(self, store: Store, names: list[str]) -> None:
        """Download files of trials, and only then those that say that the trials have ended."""
        kept = [name for name in names if Path(name).name not in _CHECKPOINTS]
        for part in _ends_last(kept):
            store.download_all(part, self._folder)


def _ends_last(names: Iterable[str]) -> tuple[list[str], list[str]]:
    listed = list(names)
    ends = [name for name in listed if Path(name).name in ENDS]
    return [name for name in listed if name not in ends], ends


def _num_written(manifest: dict[str, Any]) -> tuple[int, int]:
    """How often seeds were added, and versions noted: each of both makes a record newer."""
    return len(manifest.get("looks", ())), len(manifest.get("continued", ()))
