"""Lines that have no end yet, on a real server."""

from __future__ import annotations

import pytest

from overseer.client import Client
from overseer.protocol import Exited, Output, Partial
from tests.harness import Daemon, shell


@pytest.mark.parametrize("wanted", [True, False])
def test_a_prompt_comes_before_its_line_for_those_who_ask(wanted: bool) -> None:
    actions = {"ask": shell("printf 'Continue? '; sleep 1; echo yes")}
    with Daemon(actions=actions) as daemon, Client(daemon.url) as client:
        task = client.start("ask", partial=wanted)
        heard = [event for event in task.events() if isinstance(event, Partial | Output | Exited)]
        kinds = [Partial, Output, Exited] if wanted else [Output, Exited]
        assert [type(event) for event in heard] == kinds
        assert [event.data for event in heard[:-1]] == ["Continue? ", "Continue? yes"][-len(kinds) + 1 :]
