"""The errors that a client raises."""

from __future__ import annotations

from overseer.errors import OverseerError


class ClientError(OverseerError):
    """Base of all errors of this package; ``str(error)`` is one plain sentence for a person."""


class RefusedError(ClientError):
    """The server refused a request, in its own words.

    ``existing_task_id`` is the task that a refused start would have doubled, else ``""``; ``param`` the
    parameter that it is about, else ``""``; ``code`` says why, for programs (``not_found``, ``conflict``,
    ``full``, …; ``""``: the server is older).
    """

    def __init__(self, message: str, existing_task_id: str = "", param: str = "", code: str = "") -> None:
        super().__init__(message)
        self.existing_task_id = existing_task_id
        self.param = param
        self.code = code


class ConnectFailedError(ClientError, ConnectionError):
    """No connection could be made. ``status`` is the HTTP status of the answer, 0 when there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ConnectionLostError(ClientError, ConnectionError):
    """The connection ended and could not be restored, or this client was closed.

    A pending request may or may not have been carried out. ``code`` is the WebSocket's close code, 1006 when
    there was none.
    """

    def __init__(self, message: str, code: int = 1006) -> None:
        super().__init__(message)
        self.code = code


class ClosedError(ConnectionLostError):
    """This program itself closed the client, or the watch. ``code`` is 1000, which a lost connection may have
    as well."""

    def __init__(self, message: str = "this client was closed") -> None:
        super().__init__(message, 1000)


class ReplyTimeoutError(ClientError, TimeoutError):
    """What was waited for did not come in time; it may still come."""


class TaskNotRunError(ClientError):
    """A task ended without ever having run; ``reason`` is the one of ``dequeued``, or ``"errored"``."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TaskGoneError(ClientError):
    """The server no longer knows the task: the server was restarted, or another task took over the id."""


class LinesMissedError(ClientError):
    """Lines ``from_seq`` to ``to_seq`` of a task are lost; ``lines()`` called again continues after them."""

    def __init__(self, task_id: str, from_seq: int, to_seq: int) -> None:
        super().__init__(
            f"lines {from_seq} to {to_seq} of task {task_id} are lost: they came faster than they were read"
        )
        self.task_id = task_id
        self.from_seq = from_seq
        self.to_seq = to_seq
