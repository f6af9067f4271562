"""Every command and snippet of the documents for users works as it stands there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from overseer.auth.rights import NEEDS
from tests.docs.session import Session, blocks_of
from tests.harness import ROOT

DOCUMENTS = (
    "README.md",
    "docs/TUTORIAL.md",
    "docs/OPERATIONS.md",
    "docs/MIGRATING.md",
    "docs/COMING_FROM.md",
    "docs/PROBES.md",
    "docs/CHAINS.md",
    "docs/NOTICES.md",
    "docs/WEBHOOKS.md",
    "docs/SCHEDULES.md",
    "docs/STANDING.md",
    "docs/CLUSTER.md",
)
ALL = [
    *DOCUMENTS,
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_block_works(name: str, tmp_path: Path) -> None:
    session = Session(tmp_path)
    try:
        for block in blocks_of(ROOT / name):
            session.run(block)
    finally:
        session.close()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks_are_of_known_kinds(name: str) -> None:
    assert {block.language for block in blocks_of(ROOT / name)} <= {"sh", "python", "yaml", "text", "ini"}


def anchors(path: Path) -> set[str]:
    """The anchors of a Markdown document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", sorted(set(ALL)))
def test_links_lead_somewhere(name: str) -> None:
    path = ROOT / name
    text = re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), target


def test_operations_says_what_to_do_about_each_alert() -> None:
    rules = yaml.safe_load((ROOT / "docs/alerts.yaml").read_text())["groups"][0]["rules"]
    text = (ROOT / "docs/OPERATIONS.md").read_text()
    assert {rule["alert"] for rule in rules} == set(re.findall(r"^\| `(Overseer\w+)` \|", text, re.MULTILINE))


def test_security_says_what_each_role_may_do() -> None:
    text = (ROOT / "docs/SECURITY.md").read_text()
    rows = re.findall(r"^\| `(viewer|operator|admin)` \|(.*)\|$", text, re.MULTILINE)
    said = {request: role for role, requests in rows for request in re.findall(r"`(\w+)`", requests)}
    assert said == dict(NEEDS)


_STARTS = {
    "start_thread", "run_on_thread", "Thread", "VitalThread", "ThreadPool", "ReplaceableThreads", "Timers"
}  # fmt: skip
_IN_OTHER_PROCESSES = ("client", "ctl", "testing", "drivers/dask/relay.py", "drivers/dask/runner.py")


def _names_of_threads() -> Iterator[str]:
    """What the server's code calls its threads, up to the first part that is computed."""
    for path in (ROOT / "overseer").rglob("*.py"):
        if str(path.relative_to(ROOT / "overseer")).startswith(_IN_OTHER_PROCESSES):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in _STARTS:
                for each in (*node.args, *(keyword.value for keyword in node.keywords)):
                    first = each.values[0] if isinstance(each, ast.JoinedStr) else each
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        yield first.value


def test_design_knows_each_thread() -> None:
    text = (ROOT / "docs/design.md").read_text("utf-8")
    table = text[text.index("## Threads") : text.index("## Locks")]
    told = {re.sub(r"[A-Z]+$", "", name) for row in re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
            for name in re.findall(r"`([\w-]+)`", row)}  # fmt: skip
    names = set(_names_of_threads())
    assert len(names) > 30
    assert names <= told, "threads that the table in docs/design.md lacks"
