"""An uninterrupted study, and studies to be tortured."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Tests are imported one by one (`--import-mode=importlib`): what they share must be on the path.
sys.path.insert(0, str(Path(__file__).parent))

from harness.checks import Record, leftover_problems, read_record
from harness.moments import FEWEST_KINDS, KINDS
from harness.tortured_study import TorturedStudy


@pytest.fixture(scope="session")
def reference(
    tiny_folder: Path,
    mlflow_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
    say: Callable[[str], None],
) -> Record:
    """What an uninterrupted study leaves; made once."""
    study = TorturedStudy(tmp_path_factory.mktemp("torture") / "reference", tiny_folder)
    shutil.copy(mlflow_database, study.cwd)
    try:
        study.finish().settle()
    finally:
        study.end_all()
    assert leftover_problems(study, study.store) == []
    say("an uninterrupted study is there to compare with")
    return read_record(study, study.store)


@pytest.fixture
def make_study(tmp_path: Path, tiny_folder: Path) -> Iterator[Callable[..., TorturedStudy]]:
    """A new study for torture; whatever of it still runs after the test is ended."""
    made: list[TorturedStudy] = []

    def make(**options: object) -> TorturedStudy:
        made.append(TorturedStudy(tmp_path / f"study-{len(made)}", tiny_folder, **options))
        return made[-1]

    yield make
    ended = [text for study in made for text in study.end_all()]
    if ended:
        print(f"torture: ended what the test left: {', '.join(ended)}")


@pytest.fixture(scope="session")
def say() -> Callable[[str], None]:
    """Prints a line, at once where pytest does not capture."""
    return lambda text: print(f"torture: {text}", flush=True)


@pytest.fixture(scope="session")
def torture_seed() -> int:
    """Draws the moments."""
    return int(os.environ.get("UREC_TORTURE_SEED", "0"))


@pytest.fixture(scope="session")
def num_moments() -> int:
    """Kills of the driver."""
    return int(os.environ.get("UREC_TORTURE_MOMENTS", len(FEWEST_KINDS)))


@pytest.fixture(scope="session")
def first_kinds(num_moments: int) -> tuple[str, ...]:
    """Moments of the study that meets every kind of loss."""
    return KINDS if num_moments >= len(KINDS) else FEWEST_KINDS
