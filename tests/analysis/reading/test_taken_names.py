"""A person's own parameters stand beside the columns of trials and replace none."""

from analysis.reading.sources.export import export_schema
from contract.names import TAKEN_NAMES
from contract.parameters import PARAMETERS


def test_every_column_of_an_exported_study_is_taken() -> None:
    assert not set(export_schema().names) - TAKEN_NAMES - set(PARAMETERS)
