"""What holds for every test: checked locks, and nothing left behind.

Every seed stays the same, so that a change is judged by what it changes. ``OVERSEER_CHECK_LOCKS=SEED make
test`` has the checked locks yield elsewhere, and ``make soak`` looks for what nobody has thought of.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

# Before anything imports overseer: overseer.util.locks looks at it once, at import.
os.environ.setdefault("OVERSEER_CHECK_LOCKS", "1")

from collections.abc import Iterator

import hypothesis
import pytest

# The same examples on every run, and as much time for each as a machine with other things to do needs.
hypothesis.settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("steady")

# Servers and commands are started by the hundred; compiling all modules would be half of what each costs.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest.register_assert_rewrite("tests.harness.client", "tests.harness.daemon")

from overseer.process.input import writer  # noqa: E402
from overseer.workers.stopping import overdue  # noqa: E402
from tests.harness import Daemon, Snapshot, WsClient  # noqa: E402
from tests.harness.daemon import usual_environment  # noqa: E402
from tests.harness.forking import servers  # noqa: E402

# A shell that puts a command into the background lets it ignore SIGINT, nohup SIGHUP, and what is started
# from here does too: programs that are sent one must not depend on where the tests were started.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

if getattr(sys.modules.get("overseer.util.locks"), "_seed", "set") == "":
    raise RuntimeError("overseer.util.locks was imported before OVERSEER_CHECK_LOCKS was set")


# Folders with long files come first, so that at the end no worker is left with a long one; each in one go,
# since the tests of the page share a browser. `make test` has xdist keep this order.
_FIRST = (
    *("docs", "upgrade", "browser", "faults", "e2e", "ctl"),
    *("testing", "drivers", "process", "client", "daemon"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        folder = item.nodeid.removeprefix("tests/").partition("/")[0]
        return _FIRST.index(folder) if folder in _FIRST else len(_FIRST)

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """What ten thousand tests consist of is never garbage: no collection need go through it."""
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    return f"overseer: checked locks, OVERSEER_CHECK_LOCKS={os.environ['OVERSEER_CHECK_LOCKS']}"


@pytest.fixture(autouse=True)
def _nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process or an fd behind (module fixtures come before it)."""
    if request.node.get_closest_marker("allow_leaks"):
        yield
        return
    servers.start(usual_environment())  # for the whole process, as what follows
    overdue.start()  # with the first stop at the latest
    writer.start()  # likewise, with the first task that takes input
    before = Snapshot.take()
    yield
    if leaks := before.leaks(timeout=20.0):
        pytest.fail("left behind:\n  " + "\n  ".join(leaks), pytrace=False)


@pytest.fixture(scope="module")
def daemon(request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """A server with the module's ACTIONS."""
    with Daemon(actions=request.module.ACTIONS) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client
