"""Drivers that break the contract are found out, each by the check for what it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import overseer
from overseer.testing import Broken, Script, contract
from overseer.testing.contract import CLAUSES, Clause
from tests.testing import broken
from tests.testing.broken import BROKEN, clean_up
from tests.testing.own import Factory, Handler, OwnContract


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    Handler.over.clear()
    yield
    Handler.over.set()
    clean_up()


class Contract(OwnContract):
    held_up = 0.5

    def __init__(self, kind: type, patience: float) -> None:
        self._kind = kind
        self.patience = patience

    def driver(self) -> overseer.ActionHandlerFactory:
        kind = self._kind
        if issubclass(kind, Factory):
            return kind()
        return Factory(handler=kind) if issubclass(kind, Handler) else Factory(worker=kind)

    def dies(self) -> Script | None:
        return Script({"do": "dies"}) if hasattr(self._kind, "dies") else None


def _find_out(clause: Clause, check: str, kind: type, patience: float) -> None:
    with pytest.raises(Broken) as caught:
        getattr(Contract(kind, patience), check)()
    assert caught.value.clause == clause, str(caught.value)
    for said in (clause.name, clause.text, caught.value.seen):
        assert said in str(caught.value)


def _alone(kind: type, waits: bool) -> bool:
    """Whether what the process has must not change meanwhile, or there is nothing to wait for."""
    return not waits or "Leaves" in kind.__name__


@pytest.mark.parametrize(
    ("clause", "check", "kind", "waits"),
    [
        pytest.param(*each, id=f"{each[2].__name__}-{each[1].removeprefix('test_')}")
        for each in BROKEN
        if _alone(*each[2:])
    ],
)
def test_a_broken_driver_is_found_out(clause: Clause, check: str, kind: type, waits: bool) -> None:
    _find_out(clause, check, kind, 1.0 if waits else 30.0)


def test_drivers_that_keep_others_waiting_are_found_out() -> None:
    """All of them at once."""
    together = [each[:3] for each in BROKEN if not _alone(*each[2:])]
    with ThreadPoolExecutor(len(together)) as pool:
        found = [pool.submit(_find_out, *each, 3.0) for each in together]
    wrong = {each[2].__name__: one.exception() for each, one in zip(together, found, strict=True)}
    assert not any(wrong.values()), {name: error for name, error in wrong.items() if error}


class LosesALine(OwnContract):
    def driver(self) -> overseer.ActionHandlerFactory:
        return Factory(worker=broken.LosesALineInMany)


class NeedsNoCode(OwnContract):
    def driver(self) -> overseer.ActionHandlerFactory:
        return Factory(worker=broken.AlwaysSucceeds)


class StartsNothing(OwnContract):
    def driver(self) -> overseer.ActionHandlerFactory:
        return Factory(handler=broken.ReturnsNothing)


@pytest.mark.parametrize(
    ("kind", "clause"),
    [
        (LosesALine, contract.PRESSURE),
        (NeedsNoCode, contract.CODE),
        (StartsNothing, contract.ORDER),
    ],
)
def test_a_broken_driver_is_found_out_on_a_server(kind: type[OwnContract], clause: Clause) -> None:
    with pytest.raises(Broken) as caught:
        kind().test_a_real_server_runs_it()
    assert caught.value.clause == clause, str(caught.value)


def test_each_clause_has_a_driver_that_breaks_it() -> None:
    assert {each[0] for each in BROKEN} == set(CLAUSES)


def test_each_check_finds_out_a_driver() -> None:
    checks = {name for name in dir(OwnContract) if name.startswith("test_")}
    assert {each[1] for each in BROKEN} == checks - {"test_a_real_server_runs_it"}
