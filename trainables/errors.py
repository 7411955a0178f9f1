"""Errors that a person can mend: shown as one line, without a traceback."""


class ConfigError(ValueError):
    """An option or a configuration field that cannot be used as given."""


class DataError(ValueError):
    """A data set that cannot be used as it lies on disk; lists every problem found."""
