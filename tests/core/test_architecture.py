"""docs/design.md says which module may import which: those that stand before it in its table of modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.harness import ROOT

_PACKAGE = ROOT / "overseer"
_FACADE = ("__init__", "__main__")  # the package itself is made of everything


def _places() -> dict[str, int]:
    """Modules and packages in the table's order, from its first column."""
    rooms = (ROOT / "docs/design.md").read_text().partition("## The rooms")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`.*?) \|", rooms, re.MULTILINE)
    names = [name.rstrip("/") for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert len(names) == len(set(names)) > 40
    return {name: place for place, name in enumerate(names)}


def _room(module: str, places: dict[str, int]) -> str:
    """The entry that a module belongs to: its own or that of the nearest package around it; "": none."""
    while module and module not in places:
        module = module.rpartition("/")[0]
    return module


def _imports(path: Path) -> Iterator[str]:
    """The modules below ``overseer`` that a file imports, anywhere in it, with / between the parts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.replace(".", "/")[9:] for name in names if name.startswith("overseer."))


def test_imports_point_up_only() -> None:
    places = _places()
    wrong = []
    for path in sorted(_PACKAGE.rglob("*.py")):
        module = str(path.relative_to(_PACKAGE).with_suffix(""))
        if module in _FACADE:
            continue
        room = _room(module, places)
        if not room:
            wrong.append(f"{module} is not in the table of docs/design.md")
            continue
        for imported in _imports(path):
            there = _room(imported, places)
            if there and places[there] > places[room]:
                wrong.append(f"{module} imports {imported}, which comes after it")
    assert not wrong, "\n".join(wrong)


def test_everything_in_the_table_is_there() -> None:
    for name in _places():
        assert (_PACKAGE / name).is_dir() or (_PACKAGE / f"{name}.py").is_file(), name
