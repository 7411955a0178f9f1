"""The house as docs/architecture.md shows it: the drawing is current, and folders stay small."""

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
ROOMS = ("contract", "study", "trainables", "analysis")
MOST_SIDE_BY_SIDE = 10

METHOD_NAMES = re.compile(
    r"""\b(urec|unet)\b(?!-study|-checkpoint-1)|["'`]fixmatch""", re.IGNORECASE
)
"""But for the name of the package, the mark at the begin of checkpoints, and that of a paper."""
MAY_NAME_METHODS = (
    "contract/methods.py",
    "trainables/networks/",
    "trainables/methods/",
    "study/settings/presets.py",
)


def sources(suffix: str) -> list[Path]:
    return sorted(path for room in ROOMS for path in (ROOT / room).rglob(f"*{suffix}"))


def is_shown(path: Path) -> bool:
    """Whether a person who looks for code sees it: not a folder that an older version left."""
    if path.is_dir():
        return any(one.is_file() and one.suffix != ".pyc" for one in path.rglob("*"))
    return path.name != "__init__.py"


def test_the_drawing_is_that_of_the_imports():
    command = [sys.executable, str(ROOT / "docs" / "draw_architecture.py"), "--check"]
    assert subprocess.run(command, check=False).returncode == 0, (
        "run python docs/draw_architecture.py"
    )


@pytest.mark.parametrize("room", ROOMS)
def test_a_folder_shows_at_most_ten_files_and_folders(room):
    folders = {path.parent for path in (ROOT / room).rglob("*") if path.suffix != ".pyc"}
    crowded = {
        str(folder.relative_to(ROOT)): len(shown)
        for folder in folders
        if len(shown := [one for one in folder.iterdir() if is_shown(one)]) > MOST_SIDE_BY_SIDE
    }
    assert crowded == {}


def test_no_other_place_knows_the_names_of_methods():
    """A name that is compared with leaves every third network out in silence."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for suffix in (".py", ".html", ".css")
        for path in sources(suffix)
        if not str(path.relative_to(ROOT)).startswith(MAY_NAME_METHODS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if METHOD_NAMES.search(line)
    ]
    assert found == []


def test_every_path_of_the_page_is_there():
    named = re.findall(rf"`((?:{'|'.join(ROOMS)}|docs|tests)/[\w/.]*)`", PAGE.read_text())
    assert len(named) > 20
    missing = [path for path in named if not (ROOT / path).exists()]
    assert missing == []


@pytest.fixture
def order_of_tests(pytestconfig):
    """The module tests/conftest.py."""
    file = str(ROOT / "tests" / "conftest.py")
    (module,) = (
        plugin
        for plugin in pytestconfig.pluginmanager.get_plugins()
        if getattr(plugin, "__file__", None) == file
    )
    return module


def test_the_files_that_begin_are_there_and_do(order_of_tests):
    names = order_of_tests.LONGEST_FIRST
    assert [name for name in names if not (ROOT / "tests" / name).is_file()] == []
    paths = [ROOT / "tests" / name for name in ("test_architecture.py", *reversed(names))]
    items = [SimpleNamespace(path=path, get_closest_marker=lambda mark: None) for path in paths]
    order_of_tests.pytest_collection_modifyitems(items)
    assert [item.path for item in items] == [*reversed(paths[1:]), paths[0]]


@pytest.mark.parametrize("mark", ["slow", "numbers"])
def test_a_mark_that_its_file_does_not_name_would_be_left_out_by_the_gate(
    order_of_tests, tmp_path, mark
):
    assert f"$(files_of_mark {mark}" in (ROOT / ".ci" / "run").read_text()
    file = tmp_path / "test_marked.py"
    item = SimpleNamespace(path=file, get_closest_marker=lambda name: name == mark)
    file.write_text("MARK = 'other'")
    with pytest.raises(pytest.UsageError, match=f"must say pytest.mark.{mark}"):
        order_of_tests.pytest_collection_modifyitems([item])
    file.write_text(f"pytestmark = pytest.mark.{mark}")
    order_of_tests.pytest_collection_modifyitems([item])


def test_the_short_gate_has_slow_tests_of_pretrained_encoders():
    (name,) = re.findall(r"^slow_files=(tests/\S+)$", (ROOT / ".ci" / "run").read_text(), re.M)
    assert "encoders" in name
    assert "mark.slow" in (ROOT / name).read_text(encoding="utf-8")
