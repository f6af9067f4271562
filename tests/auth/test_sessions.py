"""Sign-ins and allowances, on a clock of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from overseer.auth.peer import Peer
from overseer.auth.rights import Principal
from overseer.auth.sign_ins import SignIns
from overseer.auth.throttle import Failures, RequestRate, RequestRates, Warnings
from overseer.net.http import Request, Response, route
from overseer.util.timers import Timers

WHO = Principal("somebody", "viewer")


class Clock:
    def __init__(self) -> None:
        self.now = time.monotonic()  # the timers know no other

    def __call__(self) -> float:
        return self.now


class Connection:
    def __init__(self) -> None:
        self.closes: list[tuple[int, str]] = []

    def close(self, code: int, reason: str = "") -> None:
        self.closes.append((code, reason))


@pytest.fixture
def timers() -> Iterator[Timers]:
    timers = Timers("test-timers")
    yield timers
    timers.close()


def test_a_sign_in_lasts_for_its_time_and_takes_its_connections_along(timers: Timers) -> None:
    clock, connection, gone = Clock(), Connection(), Connection()
    sign_ins = SignIns(60.0, timers, clock)
    value = sign_ins.begin(WHO)
    assert len(value) >= 43
    sign_in = sign_ins.find(value)
    assert sign_in is not None
    assert sign_in.principal is WHO
    sign_in.attach(connection)
    sign_in.attach(gone)
    sign_in.detach(gone)
    clock.now += 59
    assert sign_ins.find(value) is sign_in
    clock.now += 1
    assert sign_ins.find(value) is None
    sign_ins.end(value)
    sign_ins.end(value)
    assert [code for code, _ in connection.closes] == [1008]
    assert gone.closes == []
    late = Connection()
    sign_in.attach(late)  # it opened while the sign-in ended
    assert [code for code, _ in late.closes] == [1008]


def test_there_are_never_more_than_so_many(timers: Timers) -> None:
    sign_ins = SignIns(60.0, timers, Clock(), most=3)
    values = [sign_ins.begin(WHO) for _ in range(5)]
    assert [sign_ins.find(value) is not None for value in values] == [False, False, True, True, True]
    assert len(sign_ins) == 3
    assert sign_ins.find("") is None
    assert sign_ins.find(values[-1][:-1]) is None


def test_who_signs_in_again_and_again_ends_only_sign_ins_of_its_own(timers: Timers) -> None:
    sign_ins = SignIns(60.0, timers, Clock())
    other = sign_ins.begin(Principal("other", "viewer"))
    values = [sign_ins.begin(WHO) for _ in range(22)]
    assert [sign_ins.find(value) is not None for value in values] == [False] * 2 + [True] * 20
    assert sign_ins.find(other) is not None


def test_a_path_cannot_name_another_methods_route() -> None:
    request = Request("GET", "POST /session", "", {}, Peer("tcp", "10.0.0.1"))
    assert route(request, {"POST /session": lambda _: Response(204)}).status == 404


def test_an_ended_sign_in_leaves_no_timer(timers: Timers) -> None:
    sign_ins = SignIns(60.0, timers, Clock())
    value = sign_ins.begin(WHO)
    sign_in = sign_ins.find(value)
    assert sign_in is not None
    assert sign_in.timer is not None
    assert sign_in.timer.pending
    sign_ins.end(value)
    assert not sign_in.timer.pending


def test_wrong_tokens_are_looked_at_ever_more_slowly() -> None:
    clock = Clock()
    failures = Failures(clock)
    peer, other = Peer("tcp", "10.0.0.1"), Peer("tcp", "10.0.0.2")
    for _ in range(10):
        assert failures.wait(peer) == 0
        failures.add(peer)
    assert failures.wait(peer) == 2
    assert failures.wait(other) == 0
    clock.now += 1.5
    assert failures.wait(peer) == 1
    clock.now += 0.5
    assert failures.wait(peer) == 0
    failures.add(peer)
    assert failures.wait(peer) == 2
    clock.now += 1000
    for _ in range(10):
        assert failures.wait(peer) == 0
        failures.add(peer)


def test_a_host_has_all_of_its_ipv6_network() -> None:
    failures = Failures(Clock())
    for number in range(10):
        failures.add(Peer("tcp", f"2001:db8::{number:x}"))
    assert failures.wait(Peer("tcp", "2001:db8::ffff")) == 2
    assert failures.wait(Peer("tcp", "2001:db8:0:1::1")) == 0
    assert len(failures) == 1


def test_this_machine_is_one_source_by_whatever_loopback_address() -> None:
    failures = Failures(Clock())
    for number in range(10):
        failures.add(Peer("tcp", f"127.0.0.{number + 1}"))
    assert failures.wait(Peer("tcp", "127.200.0.1")) == 2
    assert failures.wait(Peer("tcp", "128.0.0.1")) == 0


def test_what_a_strangers_page_guesses_keeps_out_nobody_else() -> None:
    failures, peer = Failures(Clock()), Peer("tcp", "127.0.0.1")
    for _ in range(10):
        assert failures.wait(peer, by_page=True) == 0
        failures.add(peer, by_page=True)
    assert failures.wait(peer, by_page=True) == 2
    assert failures.wait(peer) == 0


def test_the_same_is_said_of_an_address_once_a_minute_and_not_much_else() -> None:
    clock = Clock()
    warnings = Warnings(clock, addresses=3)
    peer, other = Peer("tcp", "10.0.0.1"), Peer("tcp", "10.0.0.2")
    assert [warnings.due(peer, "a"), warnings.due(peer, "a"), warnings.due(other, "a")] == [True, False, True]
    assert [warnings.due(peer, str(number)) for number in range(8)] == [True] * 7 + [False]
    clock.now += 60
    assert [warnings.due(peer, "a"), warnings.due(peer, "a")] == [True, False]
    for number in range(10):
        assert warnings.due(Peer("tcp", f"10.0.1.{number}"), "a")
    assert len(warnings) == 3


def test_the_table_of_failures_is_bounded() -> None:
    failures = Failures(Clock(), addresses=100)
    for number in range(1000):
        failures.add(Peer("tcp", f"10.0.{number // 250}.{number % 250}"))
    assert len(failures) == 100


def test_requests_come_at_a_rate_and_in_bursts_of_a_second() -> None:
    clock = Clock()
    rate = RequestRate(4, clock)
    assert [rate.allows() for _ in range(5)] == [True] * 4 + [False]
    clock.now += 0.25
    assert [rate.allows() for _ in range(2)] == [True, False]
    clock.now += 60
    assert [rate.allows() for _ in range(5)] == [True] * 4 + [False]
    assert all(RequestRate(0, clock).allows() for _ in range(1000))


def test_requests_by_http_count_together_by_name_or_address() -> None:
    clock = Clock()
    rates = RequestRates(clock, clients=3)
    ann = Peer("tcp", "10.0.0.1", principal=Principal("ann", "viewer"))
    elsewhere = Peer("tcp", "10.0.0.2", principal=Principal("ann", "viewer"))
    bob = Peer("tcp", "10.0.0.1", principal=Principal("bob", "viewer"))
    assert [rates.allows(each, 2) for each in (ann, elsewhere, ann, bob)] == [True, True, False, True]
    anyone = [Peer("tcp", f"10.0.0.{number}") for number in (1, 1, 2)]
    assert [rates.allows(each, 1) for each in anyone] == [True, False, True]
    clock.now += 0.5
    assert [rates.allows(ann, 2), rates.allows(ann, 2)] == [True, True]  # who was forgotten begins anew
    assert rates.allows(ann, 4)  # as who has another limit
    assert all(rates.allows(ann, 0) for _ in range(100))
