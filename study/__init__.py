"""Decides what to run: arms, search, selection, confirmation, tracking."""

import os

# Read when Ray is imported. It prints what machines logged before they were lost, hundreds of
# lines, onto standard output, whatever it is told about logs; trials say themselves what failed.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
