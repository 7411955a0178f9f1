"""The rules of a study that are fixed before its first trial."""
