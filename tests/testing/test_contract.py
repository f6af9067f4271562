"""The sentences of the contract are those of the guide."""

from __future__ import annotations

import re

from overseer.testing.contract import CLAUSES
from tests.harness import ROOT


def test_the_guide_says_what_is_checked() -> None:
    guide = (ROOT / "docs" / "DRIVERS.md").read_text()
    section = guide.partition("\n## What a driver owes\n")[2].partition("\n## ")[0]
    said = re.findall(r"^- \*\*(.+?)\*\*: (.+(?:\n  .+)*)", section, re.MULTILINE)
    assert {name: " ".join(text.split()) for name, text in said} == dict(CLAUSES)
