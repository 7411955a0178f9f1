"""Draws the picture of docs/architecture.md from the imports of the code.

`python docs/draw_architecture.py` rewrites it in place; `--check` only says whether it is current.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "architecture.md"
_BEGIN, _END = "<!-- drawn by docs/draw_architecture.py -->\n", "<!-- end of the drawing -->"
_ROOMS = ("study", "trainables", "analysis", "contract")
_WIDTH = 100


def draw() -> str:
    """All rooms with their parts and what lies in them; a part stands above those it imports."""
    imports = {path: set(_imported(path)) for room in _ROOMS for path in _sources(room)}
    return "\n\n".join(_draw_room(room, imports) for room in _ROOMS)


def page_with_drawing(page: str) -> str:
    """The page with today's drawing.

    Raises:
        ValueError: If the page has no place for it.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"page must hold {_BEGIN.strip()!r} and {_END!r}, got neither or one")
    return f"{before}{begin}```text\n{draw()}\n```\n{end}{after}"


def _sources(room: str) -> list[Path]:
    return sorted((_ROOT / room).rglob("*.py"))


def _imported(path: Path) -> Iterator[str]:
    """Modules that a file imports, as dotted names; those for type checks alone are no arrows."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _part(name: str, room: str) -> str | None:
    """The folder or module directly inside a room that a dotted name lies in."""
    words = name.split(".")
    if words[0] != room or len(words) < 2:
        return None
    inside = _ROOT / room / words[1]
    return words[1] if inside.is_dir() or inside.with_suffix(".py").exists() else None


def _draw_room(room: str, imports: dict[Path, set[str]]) -> str:
    parts: dict[str, set[str]] = {}
    rooms: set[str] = set()
    for path, names in imports.items():
        where = path.relative_to(_ROOT).with_suffix("").parts
        if where[0] != room:
            continue
        rooms |= {name.split(".")[0] for name in names} & set(_ROOMS) - {room}
        if where[1] != "__init__":
            own = parts.setdefault(where[1], set())
            own |= {part for name in names if (part := _part(name, room))} - {where[1]}
    heading = f"{room}/  {_summary(_ROOT / room)}"
    imported = f"imports {' '.join(sorted(rooms))}" if rooms else "imports no other room"
    lines = [f"{heading}  [{imported}]"]
    indent = max(map(len, parts)) + 6
    for part in sorted(parts, key=lambda one: (-_height(one, parts), one)):
        folder = _ROOT / room / part
        text = _summary(folder if folder.is_dir() else folder.with_suffix(".py"))
        arrows = " ".join(sorted(parts[part]))
        shown = f"{part}{'/' if folder.is_dir() else ''}"
        said = f"{text}  --> {arrows}" if arrows else text
        lines += _wrapped(f"  {shown:<{indent - 2}}{said}", indent)
        if inside := _names(folder):
            lines += _wrapped(f"{' ' * indent}( {' '.join(inside)} )", indent + 2)
    return "\n".join(lines)


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )


def _names(folder: Path) -> list[str]:
    """What lies in a folder: its modules, and its folders with a slash."""
    return [
        f"{path.name}/" if path.is_dir() else path.stem
        for path in sorted(folder.glob("*"))
        if path.suffix == ".py" or (path / "__init__.py").exists()
        if path.stem not in ("__init__", "__main__")
    ]


def _height(part: str, parts: dict[str, set[str]]) -> int:
    """The longest way down from a part; there are no circles."""
    return max((1 + _height(one, parts) for one in parts[part]), default=0)


def _summary(path: Path) -> str:
    """First line of the docstring of a module, or of a folder's `__init__.py`."""
    file = path / "__init__.py" if path.is_dir() else path
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def main(arguments: list[str]) -> int:
    """Rewrite the page, or check it; 1 where the check finds an old drawing."""
    page = _PAGE.read_text(encoding="utf-8")
    drawn = page_with_drawing(page)
    if "--check" in arguments:
        return int(page != drawn)
    _PAGE.write_text(drawn, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
