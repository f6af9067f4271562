"""A WebSocket to a real server: messages, control frames, broken frames, closes."""

from __future__ import annotations

from collections.abc import Callable

from tests.net.conftest import Harness

Serve = Callable[..., Harness]


def test_a_message_reaches_the_session_and_its_answer_the_client(serve: Serve) -> None:
    client, session = serve().pair()
    with client:
        client.send_text('{"a":"é"}')
        assert client.receive() == '{"a":"é"}'
    assert session.received == ['{"a":"é"}']
    assert session.is_closed.wait(5)
