"""The examples in docs/TEMPLATES.md do what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from overseer.templates import Dialect, compile_template

DOCUMENT = Path(__file__).parents[2] / "docs" / "TEMPLATES.md"
PARAMS = {"name": "bob smith", "n": "3", "list": "a,b", "debug": ""}
EXAMPLES = [
    (template.replace("\\|", "|"), result)
    for template, result in re.findall(r"^\| `(.*)` \| `(.*)` \|$", DOCUMENT.read_text(), re.MULTILINE)
]


def dialect_of(template: str) -> Dialect:
    """Go's has dots, variables or keywords where Jinja's has names."""
    return (
        "go"
        if re.search(r"\[\[-? ?(\.|\$|/|if|or|print|range|shquote|end|\"\[\[\"\]\]:)", template)
        else "jinja"
    )


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == DOCUMENT.read_text().count("\n| `")


@pytest.mark.parametrize(("template", "result"), EXAMPLES)
def test_an_example_gives_the_result_beside_it(template: str, result: str) -> None:
    assert compile_template(template, dialect_of(template)).render(PARAMS) == result


def test_a_quoted_value_is_one_word_to_a_shell() -> None:
    for value in ("", "a b", "'", '"$(rm -rf /)"', "`x`", "a\nb", "*", "\\", "-n", "é"):
        for text, dialect in (("[[ .v | shquote ]]", "go"), ("[[ v|shquote ]]", "jinja")):
            template = compile_template(f"x {text} y", dialect)
            assert shlex.split(template.render({"v": value})) == ["x", value, "y"]
