"""Tables in Markdown, and documents with generated parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def with_parts(document: str, marker: str, part: Callable[[str], str]) -> str:
    """``document`` with ``part(NAME)`` between each ``<!-- MARKER: NAME -->`` and the next ``<!-- end``."""
    block = re.compile(rf"(<!-- {marker}: (\S+) -->\n).*?(<!-- end[^>]*-->)", re.DOTALL)
    return block.sub(lambda match: match[1] + part(match[2]) + match[3], document)
