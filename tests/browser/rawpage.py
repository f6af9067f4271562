"""A page driven over DevTools by hand, with as few messages as can be, so that measuring does not disturb."""

from __future__ import annotations

import itertools
import json
import time
import urllib.request
from typing import Any, Self

from tests.harness import WsClient

__all__ = ["RawPage"]


class RawPage:
    """``with RawPage(port, url) as page: page.evaluate("1 + 1")``; in a browser context of its own."""

    def __init__(self, port: int, url: str, *, width: int = 1360) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/version", timeout=30) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        self._client = WsClient(f"127.0.0.1:{port}", path="/" + address.split("/", 3)[3])
        self._numbers = itertools.count(1)
        self._session: str | None = None
        self._context = self._call("Target.createBrowserContext")["browserContextId"]
        size = {"width": width, "height": 860}
        context = {"browserContextId": self._context}
        target = self._call("Target.createTarget", url="about:blank", **context, **size)["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Page.navigate", url=url)
        self._client._take(lambda each: each.get("method") == "Page.loadEventFired", 60.0, "the page")
        self._call("Page.disable")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, as JSON has it; what it throws fails the test."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def worked(self, seconds: float) -> tuple[float, int, float]:
        """What happens within about so many seconds: those of the processor that the main thread takes, the
        frames that the page's ``frames_`` counts, and the seconds that it has been."""
        self._call("Performance.enable", timeDomain="threadTicks")
        before, begun = self._moment()
        time.sleep(seconds)
        after, ended = self._moment()
        busy = after["TaskDuration"] - before["TaskDuration"]
        return busy, int(ended - begun), after["Timestamp"] - before["Timestamp"]

    def _moment(self) -> tuple[dict[str, float], float]:
        metrics = self._call("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in metrics}, self.evaluate("frames_")

    def wait(self, expression: str, timeout: float = 30.0) -> None:
        """Look again and again until an expression is true: the page has no event for what is on it."""
        deadline = time.monotonic() + timeout
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session = None
        self._call("Target.disposeBrowserContext", browserContextId=self._context)
        self._client.close()

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._client.send_text(json.dumps(message))
        answer = self._client._take(lambda each: each.get("id") == number, 60.0, method)
        assert "error" not in answer, (method, answer)
        result: dict[str, Any] = answer["result"]
        return result
