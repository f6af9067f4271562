"""What is printed to the author of a driver."""

from __future__ import annotations

from pathlib import Path

from tests.drivers.conftest import run_python

_TEST = """
from overseer.testing import contract
from tests.testing import broken
from tests.testing.own import Factory, OwnContract

pytest_plugins = ["overseer.testing"]


class TestKept(OwnContract):
    pass


class TestBroken(OwnContract):
    def driver(self):
        return Factory(worker=broken.SaysItTwice)
"""


def test_a_breach_is_told_without_a_traceback_and_each_contract_has_a_line(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(_TEST)
    options = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "-W", "error"]
    only = "a_single_line or death_by_signal or ends_with_its_code"
    status, out, err = run_python("-m", "pytest", *options, "-k", only, "test_mine.py", cwd=tmp_path)
    assert (status, err) == (1, "")
    assert "overseer/testing/" not in out, "a traceback"
    failure = out.partition("___ TestBroken.test_a_single_line_arrives ___")[2].splitlines()
    assert [line.strip() for line in failure[1:4]] == [
        "the driver breaks its contract (order)",
        "DRIVERS.md: The lines of a stream arrive as they were written: each once, whole, in order.",
        "seen:       after 1 lines came 'only', not no more lines",
    ]
    assert "TestKept keeps its contract: 2 checks; not checked for want of dies\n" in out
    assert "TestBroken breaks its contract: order; not checked for want of dies\n" in out
