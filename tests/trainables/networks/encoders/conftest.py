"""Tiny encoders of every kind, read once."""

import pytest

from trainables.networks.encoders.reading import read_encoder


@pytest.fixture(scope="session")
def encoders(write_encoder):
    """Reader of a tiny encoder by its kind."""
    folders = {}

    def read(kind):
        if kind not in folders:
            folders[kind] = write_encoder(kind)
        return read_encoder(str(folders[kind]))

    return read
