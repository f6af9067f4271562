"""The order of the rooms: who may import whom.

A package imports what stands before it in ``_ORDER``, itself included; no two modules import each other, by
whatever way round; imports are absolute. A failure names the line, and what to do about it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.harness import ROOT

_PACKAGE = ROOT / "overseer"
_FACADE = ("__init__", "__main__")  # the package's face is made of everything

# Bottom up. What only one side of the wire has lies above what both have.
_ORDER = (
    "errors",
    "util",
    "schema",
    "protocol",
    "auth",
    "cel",
    "templates",
    "process",
    "config",
    "history",
    "logs",
    "net",
    "workers",
    "secrets",
    "drivers",
    "supervisor",
    "probes",
    "schedules",
    "chains",
    "api",
    "webhooks",
    "notices",
    "upgrade",
    "daemon",
    "client",
    "ctl",
    "testing",  # for drivers' authors; nothing imports it
)
# The client's side knows the server through the wire alone.
_ONLY = {
    "client": {"errors", "util", "schema", "protocol"},
    "ctl": {"errors", "util", "schema", "protocol", "client"},
}


class _Import(NamedTuple):
    path: Path
    line: int
    module: str  # below overseer, with dots; "" for the package itself


def _module_of(path: Path) -> str:
    parts = path.relative_to(_PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


_MODULES = {_module_of(path): path for path in sorted(_PACKAGE.rglob("*.py"))}


def _imports(path: Path) -> Iterator[_Import]:
    """Every import of this package's modules in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "overseer":
                yield _Import(path, node.lineno, _nearest(name.partition(".")[2]))


def _nearest(name: str) -> str:
    """The module that a dotted name is, or is in."""
    while name and name not in _MODULES:
        name = name.rpartition(".")[0]
    return name


def _all_imports() -> Iterator[tuple[str, _Import]]:
    for module, path in _MODULES.items():
        if module not in ("", "__main__"):
            for each in _imports(path):
                yield module, each


def _room(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_is_in_the_order_and_no_more() -> None:
    rooms = {_room(module) for module in _MODULES} - {"", *_FACADE}
    assert rooms == set(_ORDER), "a new room needs its place in _ORDER, and in docs/design.md"


def test_rooms_import_downwards_only() -> None:
    wrong = []
    for module, (path, line, imported) in _all_imports():
        here, there = _room(module), _room(imported)
        if not there:
            continue
        allowed = _ONLY.get(here, set(_ORDER[: _ORDER.index(here)])) | {here}
        if there not in allowed:
            where = f"{path.relative_to(ROOT)}:{line}"
            wrong.append(
                f"{where}: {here}/ may not import {imported}: move what it wants there down into {here}/ or "
                f"below it, or let {there}/ hand it over as a callable"
            )
    assert not wrong, "\n".join(wrong)


def test_no_modules_import_each_other_in_a_circle() -> None:
    wants: dict[str, dict[str, int]] = {}
    for module, (_, line, imported) in _all_imports():
        # A package's face may be built from its modules; what they take from each other counts.
        if imported and imported != module:
            wants.setdefault(module, {}).setdefault(imported, line)
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            circle = [*way[way.index(module) :], module]
            steps = [f"{a}:{wants[a][b]} imports {b}" for a, b in pairwise(circle)]
            pytest.fail("a circle; break it at the line that matters least:\n" + "\n".join(steps))
        if module not in done:
            for each in wants.get(module, ()):
                visit(each, [*way, module])
            done.add(module)

    for module in wants:
        visit(module, [])


def test_imports_are_absolute() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}: write the whole name: from overseer.…"
        for path in _MODULES.values()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not wrong, "\n".join(wrong)


def test_methods_that_expect_a_lock_say_which_first() -> None:
    wrong = []
    for path in _MODULES.values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name.endswith("_locked"):
                first = ast.unparse(node.body[bool(ast.get_docstring(node)) :][:1])
                if not re.match(r"(if CHECKED:\s+)?assert_held\(|\.\.\.$|pass$|$", first):
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    wrong.append(f"{where}: begin {node.name} with assert_held(its lock)")
    assert not wrong, "\n".join(wrong)


def test_values_that_are_made_once_have_a_lock() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: two threads may both make it: take overseer.util.once.Once"
        for path in _MODULES.values()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.match(r"\s*(@|from |import ).*\bcached_property\b", line)
    ]
    assert not wrong, "\n".join(wrong)


def test_modules_fit_in_the_head() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in _MODULES.values()
        if (count := len(path.read_text("utf-8").splitlines())) > 420
    }
    assert not long, f"split by what changes together: {long}"


def test_few_modules_lie_beside_the_rooms() -> None:
    assert len(list(_PACKAGE.glob("*.py"))) <= 8
