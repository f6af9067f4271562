"""What becomes of requests by HTTP when the server is upgraded, and asking for that by HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import suppress

from tests.api.conftest import Http
from tests.faults.support import address_of, wait_until
from tests.harness import Daemon
from tests.net.rawclient import http_request

_WAIT = 90.0
EVENTS = "text/event-stream"


def _upgrade(http_: Http) -> None:
    with http_.open("POST", "/upgrade", {}, timeout=_WAIT) as response:
        body = json.loads(response.read())
        assert (response.status, body) == (202, {"detail": "it has begun"})
        assert response.headers["Location"] == "/api/v1/upgrade"


def _metrics(daemon: Daemon) -> str:
    return http_request(address_of(daemon), "/metrics", timeout=_WAIT).body.decode()


def test_what_has_come_of_it_is_where_location_says(daemon: Daemon, http_: Http) -> None:
    assert "overseer_upgrade_last" not in _metrics(daemon)
    _upgrade(http_)
    with http_.open("GET", "/upgrade", timeout=_WAIT) as response:  # waits until the new program serves
        answer = json.loads(response.read())
    assert (response.status, answer["check"], "error" in answer["last"]) == (200, True, False)
    assert answer["last"]["duration_ms"] >= answer["last"]["pause_ms"] > 0
    metrics = _metrics(daemon)
    assert "\noverseer_upgrade_last_successful 1.0\n" in metrics
    seconds = float(metrics.partition("\noverseer_upgrade_last_pause_seconds ")[2].split()[0])
    assert round(seconds * 1000) == answer["last"]["pause_ms"]
    assert "overseer_upgrade_last_duration_seconds" in metrics
    assert "overseer_upgrade_last_timestamp_seconds" in metrics


def test_a_start_that_waits_is_told_where_its_task_is(daemon: Daemon, http_: Http) -> None:
    told: list[tuple[int, str]] = []

    def start() -> None:
        body = {"task_id": "waits"}
        with http_.open("POST", "/actions/sleep/start?wait=600", body, timeout=_WAIT) as response:
            told.append((response.status, response.headers["Location"]))
            assert json.loads(response.read())["status"] == "running"

    waiting = threading.Thread(target=start)
    waiting.start()
    wait_until(lambda: http_("GET", "/tasks/waits").status == 200, _WAIT, "its start")
    _upgrade(http_)
    waiting.join(_WAIT)
    assert told == [(202, "/api/v1/tasks/waits")]
    assert http_("GET", "/tasks/waits").json["status"] == "running"
    assert http_("DELETE", "/tasks/waits?wait=60").json["status"] == "stopped"


def test_an_event_stream_goes_on_where_it_was_cut(daemon: Daemon, http_: Http) -> None:
    http_("POST", "/actions/echo/start", {"task_id": "said"})
    lines: list[str] = []
    last = ""
    for turn in range(2):
        headers = {"Accept": EVENTS, **({"Last-Event-ID": last} if last else {})}
        with http_.open("GET", "/tasks/said/output?follow=true", timeout=_WAIT, **headers) as response:
            http_("POST", "/tasks/said/input", {"data": f"{turn} a\n{turn} b\n", "eof": turn == 1})
            if turn < 1:
                began = threading.Timer(0.0, _upgrade, [http_])
                began.start()
            try:
                for raw in response:
                    field, _, value = raw.decode().rstrip().partition(": ")
                    if field == "id":
                        last = value
                    elif field == "data" and "data" in (said := json.loads(value)):
                        lines.append(said["data"])
            except (OSError, http.client.HTTPException):
                pass
            if turn < 1:
                began.join(_WAIT)
    assert lines == [f"{turn} {word}" for turn in range(2) for word in "ab"]


def test_what_was_being_followed_by_text_ends_and_nothing_is_lost(daemon: Daemon, http_: Http) -> None:
    """Where lines have no ids, their number says where to go on."""
    http_("POST", "/actions/echo/start", {"task_id": "plain"})
    http_("POST", "/tasks/plain/input", {"data": "one\n"})
    with http_.open("GET", "/tasks/plain/output?follow=true", timeout=_WAIT) as response:
        assert response.readline() == b"one\n"
        _upgrade(http_)
        with suppress(OSError, http.client.HTTPException):
            assert response.read() == b""
    http_("POST", "/tasks/plain/input", {"data": "two\n", "eof": True})
    with http_.open("GET", "/tasks/plain/output?follow=true&since_seq=1", timeout=_WAIT) as response:
        assert response.read() == b"two\n"
