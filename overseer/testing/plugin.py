"""What the plugin adds: a summary that says which drivers keep their contracts, and what was not checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable

import pytest

from overseer.testing.checks.base import UNKNOWN, Checks
from overseer.testing.contract import Broken

_CLASS, _CLAUSE = "driver_contract", "broken_clause"  # of a report; they survive the way between processes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    kind = getattr(item, "cls", None)
    if isinstance(kind, type) and issubclass(kind, Checks) and (report.when == "call" or not report.passed):
        report.user_properties.append((_CLASS, kind.__qualname__))
        if call.excinfo is not None and isinstance(call.excinfo.value, Broken):
            report.user_properties.append((_CLAUSE, call.excinfo.value.clause.name))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports: dict[str, list[pytest.TestReport]] = defaultdict(list)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, value in getattr(report, "user_properties", ()):
                if name == _CLASS:
                    reports[str(value)].append(report)
    if reports:
        terminalreporter.section("drivers' contracts")
    for kind, about in reports.items():
        terminalreporter.line(f"{kind} {_verdict(about)}")


def _verdict(reports: Iterable[pytest.TestReport]) -> str:
    broken: set[str] = set()
    missing: set[str] = set()
    passed = failed = 0
    for report in reports:
        passed += report.passed
        failed += report.failed
        broken.update(str(value) for name, value in report.user_properties if name == _CLAUSE)
        if report.skipped:
            missing.update(str(report.longrepr).partition(UNKNOWN)[2].strip("')").split(", "))
    if broken:
        said = f"breaks its contract: {', '.join(sorted(broken))}"
    elif failed:
        said = f"was not checked: {failed} failed"
    else:
        said = f"keeps its contract: {passed} checks"
    missing.discard("")
    return said + (f"; not checked for want of {', '.join(sorted(missing))}" if missing else "")
