"""Torture of a study: it is killed at random moments, and must end as if nothing had happened.

What a study promises is that it cannot be lost: the same command continues it, whatever happened
before. These modules try to break the promise from outside, with signals and a damaged file, on a
study of 14 trials that takes under a minute. They import nothing of `study` or `trainables`; they
look at processes, files and MLflow, as a person would.

What happens (`moments`, `driver_kills`, `other_losses`):

* The driver (`run_study.py`) gets SIGKILL during start-up, search, a checkpoint write,
  confirmation and the report; moments are drawn from a seed. During a checkpoint write all its
  processes die at once, the writing one first, as when a machine goes down; else the driver alone.
* One trial's process gets SIGKILL while it trains.
* The MLflow server gets SIGKILL and comes back later on the same store.
* `checkpoint.pt` of a trial is cut to half its length.

After each kill the orphans of the driver are waited for (`processes`); those that stay are ended
by their pid, and the line of the kill says so. Then the same command goes on.

What must hold in the end (`checks`):

* `comparison.csv` has the bytes of an uninterrupted study's, as have the confusion matrices; the
  curves in `result.json` hold the same numbers.
* `result.json` of a finished trial was never written again: same inode, time and content at every
  look.
* MLflow holds one active run per trial, all FINISHED, one parent, FINISHED; every metric has the
  steps of the uninterrupted study's, each once; no finished run was deleted.
* No checkpoint and no half-written file is left, and no process.

`pytest -m slow tests/torture` does all of it to one study, which writes to the server, and kills
its driver only three times: during search, a checkpoint write and the report. `make torture` kills
twenty times: five of them, one of each kind, hit that study, the other fifteen studies on MLflow's
default store. UREC_TORTURE_MOMENTS is the number of kills, UREC_TORTURE_SEED draws the
moments; a moment that never came is an error, not a pass.
"""
