"""What a study would take, for `--dry-run`."""
