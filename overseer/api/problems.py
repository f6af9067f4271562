"""Refusals as problem documents (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from overseer.net.http import Response

CONTENT_TYPE = "application/problem+json"
STATUSES = {
    "invalid": 422,
    "not_permitted": 403,
    "not_found": 404,
    "conflict": 409,
    "not_running": 409,
    "full": 503,
    "too_many": 429,
    "failed": 500,
    "not_configured": 501,
    "unavailable": 503,
    "refused": 409,
}
"""The status of a refusal by its code."""


def problem(status: int, detail: str, *headers: tuple[str, str], **more: str) -> Response:
    """A problem document; of ``more``, what is not empty."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{name: value for name, value in more.items() if value},
    }
    body = json.dumps(document, ensure_ascii=False).encode(errors="replace") + b"\n"
    return Response(status, body, CONTENT_TYPE, headers)


class RefusedError(Exception):
    """A request is refused; carries the response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.body.decode())
        self.response = response


def refused(status: int, detail: str, *headers: tuple[str, str], **more: str) -> RefusedError:
    """What to raise to have a problem document sent."""
    return RefusedError(problem(status, detail, *headers, **more))


def of_error(error: Mapping[str, Any]) -> RefusedError:
    """The response to an ``error`` message."""
    code = error.get("code", "")
    status = STATUSES.get(code, 500)
    headers = (("Retry-After", "1"),) if status in (429, 503) else ()
    more = {name: error.get(name, "") for name in ("param", "existing_task_id")}
    return refused(status, error["message"], *headers, code=code, **more)


def of_response(response: Response) -> Response:
    """A plain refusal as a problem document."""
    return problem(response.status, response.body.decode().strip(), *response.headers)
