"""Pages of the studies in the store, of which each is made once and only read."""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.__main__ import main
from analysis.findings.workers import InThisProcess
from analysis.page.report import make_export, make_report

SEVERAL = ("full", "variants", "empty")


@pytest.fixture(scope="session")
def of_several(store: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of the report of `SEVERAL`, and what the command printed."""
    folder = tmp_path_factory.mktemp("several")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        # other processes would load the libraries anew
        patch.setattr("analysis.__main__.worker_processes", InThisProcess)
        assert main(["report", *SEVERAL, "--tracking-uri", store, "--out", str(folder)]) == 0
    return folder, printed.getvalue()


@pytest.fixture(scope="session")
def page_of(
    store: str, of_several: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The page of a study; of `SEVERAL` that which was made with the others'."""
    made = {name: of_several[0] / name / "index.html" for name in SEVERAL}

    def page_of(study: str) -> Path:
        if study not in made:
            index = make_report(study, tracking_uri=store, out=tmp_path_factory.mktemp("page"))
            assert index.index is not None
            made[study] = index.index
        return made[study]

    return page_of


@pytest.fixture(scope="session")
def page_of_exported(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the study `full` from an exported file."""
    folder = tmp_path_factory.mktemp("exported")
    (exported,) = make_export("full", tracking_uri=store, out=folder).files
    index = make_report(str(exported), out=folder / "again").index
    assert index is not None
    return index
