"""The tables of a study, as numbers and as files."""
