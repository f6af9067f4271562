"""The tables of docs/CONFIG.md, made from the declarations.

``python -m overseer.config.reference docs/CONFIG.md`` brings them up to date.

A table stands between ``<!-- keys: PATH -->`` and ``<!-- end -->``; the rest of the document is written by
hand and left alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from overseer.config.cluster import CLUSTER
from overseer.config.exec import EXEC
from overseer.config.model import ROOT, DriverConfig
from overseer.schema.fields import Declared, fields_of
from overseer.schema.markdown import table, with_parts
from overseer.schema.objects import ListOf, MapOf, Object
from overseer.schema.types import FieldType


def sections() -> dict[str, type[Declared]]:
    """Every section, by its first place: ``top``, ``task_pool.queue``, ``actions.NAME``, ``list[]``."""
    found: dict[str, type[Declared]] = {}

    def visit(path: str, of: FieldType) -> None:
        if isinstance(of, MapOf):
            path, of = f"{path}.NAME", of.item
        elif isinstance(of, ListOf):
            path, of = f"{path}[]", of.item
        elif isinstance(of, DriverConfig):
            visit(f"{path}.cluster", CLUSTER)
            of = EXEC
        if not isinstance(of, Object) or of.cls in found.values():
            return
        found[path or "top"] = of.cls
        for each in fields_of(of.cls):
            visit(f"{path}.{each.name}".lstrip("."), each.type)

    visit("", ROOT)
    return found


def keys(section: type[Declared]) -> str:
    """The keys of a section as a Markdown table."""
    rows = []
    for each in fields_of(section):
        meaning = each.doc if each.doc.endswith(".") else f"{each.doc}."
        if each.env:
            meaning += f" Environment: `{each.env}`."
        rows.append((f"`{each.name}`", each.type.label, each.shown_default(), meaning))
    return table(("Key", "Type", "Default", "Meaning"), rows)


def refresh(document: str) -> str:
    """``document`` with its tables brought up to date.

    Raises:
        KeyError: a table names no section.
    """
    known = sections()
    return with_parts(document, "keys", lambda path: keys(known[path]))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refresh(path.read_text("utf-8")), "utf-8")
