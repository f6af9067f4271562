"""The grammar that cel-python ships, which is amended here rule by rule."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest

KNOWN = "80b735504fcdf8e98d7e8d16ed4f90b74d29064e6aca668bc2de5a297a50b00f"


def test_it_is_the_one_that_is_amended() -> None:
    spec = importlib.util.find_spec("celpy")
    assert spec is not None
    assert spec.submodule_search_locations
    found = hashlib.sha256(Path(spec.submodule_search_locations[0], "cel.lark").read_bytes()).hexdigest()
    if found != KNOWN:
        pytest.fail(
            f"cel-python {version('cel-python')} has another grammar: see that overseer/cel/grammar.py still "
            f"amends it rightly, then write {found} here",
            pytrace=False,
        )
