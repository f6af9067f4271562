"""The tables of docs/CONFIG.md, made from the declarations.

``python -m overseer.config.reference docs/CONFIG.md`` brings them up to date.

A table stands between ``<!-- keys: PATH -->`` and ``<!-- end -->``; the rest of the document is written by
hand and left alone.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from overseer.config.kinds import Kind
from overseer.config.model import ROOT
from overseer.config.schema import Key, Listed, Named, Section, keys_of

__all__ = ["refresh", "sections", "table"]

_BLOCK = re.compile(r"(<!-- keys: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def sections() -> dict[str, type]:
    """Every section, by where it stands first: ``top``, ``task_pool.queue``, ``actions.NAME``, ``list[]``."""
    found: dict[str, type] = {}

    def visit(path: str, kind: Kind) -> None:
        if isinstance(kind, Named):
            path, kind = f"{path}.NAME", kind.section
        elif isinstance(kind, Listed):
            path, kind = f"{path}[]", kind.section
        if not isinstance(kind, Section) or kind.section in found.values():
            return
        found[path or "top"] = kind.section
        for each in keys_of(kind.section):
            visit(f"{path}.{each.name}".lstrip("."), each.kind)

    visit("", ROOT)
    return found


def table(section: type) -> str:
    """The keys of a section as a Markdown table."""
    lines = ["| Key | Type | Default | Meaning |", "|---|---|---|---|"]
    for each in keys_of(section):
        meaning = f"{each.doc} Environment: `{each.env}`." if each.env else each.doc
        lines.append(f"| `{each.name}` | {each.kind.label} | {_shown_default(each)} | {meaning} |")
    return "\n".join(lines) + "\n"


def refresh(document: str) -> str:
    """``document`` with its tables as the declarations have them.

    Raises:
        KeyError: a table is asked for that no section stands behind.
    """
    known = sections()
    return _BLOCK.sub(lambda block: block[1] + table(known[block[2]]) + block[3], document)


def _shown_default(declared: Key) -> str:
    if declared.required:
        return "**required**"
    if declared.default_text or declared.default is None:
        return declared.default_text
    return declared.kind.show(declared.default)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(refresh(path.read_text("utf-8")), "utf-8")
