"""A receiver of webhooks, which answers as a test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = int | Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """``with Receiver() as receiver``: answers 204, or whatever ``answer`` is set to; ``port``: to listen on.

    Attributes: ``url``, ``got`` (each request's headers and body, in order).
    """

    def __init__(self, port: int = 0) -> None:
        self.answer: Answer = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        self._came = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = receiver.answer
                with receiver._came:
                    receiver.got.append(({name.lower(): text for name, text in self.headers.items()}, body))
                    receiver._came.notify_all()
                if callable(answer):
                    answer(self)
                else:
                    self.send_response(answer)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()

    def wait(self, number: int, timeout: float = 30.0) -> list[dict[str, Any]]:
        """Wait for so many requests in all; what they tell, in order."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.got) >= number, timeout), self.told
            return self.told

    @property
    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body)["data"] for _, body in self.got]
