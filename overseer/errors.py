"""Every error this library raises on purpose.

They are flat, carry plain data, and are turned into a reply or a line on stderr in one place only
(:mod:`overseer.daemon.dispatch` for the wire, :mod:`overseer.daemon.cli` for the terminal).
"""

from __future__ import annotations

from typing import TypeVar

CLOSING = "the server is shutting down"

REFUSALS = {
    "invalid": "the request, or a parameter, is not as it should be",
    "not_permitted": "it needs other rights",
    "not_found": "there is no such task or action",
    "conflict": "not as things stand: the task runs already, or a duplicate does, or it takes no input",
    "not_running": "the task does not run, or no longer",
    "full": "the pool and its queue have no room",
    "too_many": "the client sends more than it may",
    "failed": "the task's program could not be started",
    "not_configured": "the server's configuration lacks what it takes",
    "unavailable": CLOSING,
    "refused": "for another reason",
}
"""Why a request is refused, for programs."""


class OverseerError(Exception):
    """Base of all errors raised on purpose; ``str(error)`` is one plain sentence for a person."""


_E = TypeVar("_E", bound=OverseerError)


def fresh(error: _E) -> _E:
    """A copy to raise of an error that is kept: each raise of one and the same lengthens its traceback, which
    keeps the frames of all who were told, on whatever threads."""
    kind = type(error)
    copy = kind.__new__(kind)  # without __init__, which may take something else than what it makes of it
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    return copy


class ConfigError(OverseerError):
    """Something in the configuration cannot be used.

    ``path`` is the key's steps relative to the mapping that the raiser was given: for a driver its own
    ``config``, as in ``("parameters", "branch", "validate")``. :meth:`placed` adds ``file`` and ``line``.
    """

    def __init__(
        self,
        message: str,
        *,
        path: tuple[str | int, ...] = (),
        file: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.file = file
        self.line = line

    def placed(self, *, path: tuple[str | int, ...], file: str, line: int) -> ConfigError:
        """The same error with its place filled in: ``path`` from the file's root, ``line`` from 1."""
        return ConfigError(self.message, path=path, file=file, line=line)

    def __str__(self) -> str:
        where = (
            f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        )
        key = ".".join(str(step) for step in self.path)
        return f"{where}{key}: {self.message}" if key else f"{where}{self.message}"


class ConfigWarning(UserWarning):
    """Something in the configuration that is probably a mistake; given with :func:`warnings.warn`.

    ``path`` as in :class:`ConfigError`.
    """

    def __init__(self, message: str, *, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = path


class UnknownKeyWarning(ConfigWarning):
    """An unknown key in the configuration: a warning at a start, an error for ``--check``."""


class ValidationError(OverseerError):
    """Parameters that an action does not accept; the text goes to the client as it is.

    ``param`` names the one that it is about, for a form to say it there.
    """

    def __init__(self, message: str = "", *, param: str = "") -> None:
        super().__init__(message)
        self.param = param


class SubmitError(OverseerError):
    """A service driver's task was refused; the text says why, and ``code`` does for programs (see
    :data:`REFUSALS`). ``param`` is the parameter that it is about, ``existing_task_id`` the task that it
    would have been a duplicate of."""

    def __init__(
        self, message: str = "", *, code: str = "refused", param: str = "", existing_task_id: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.existing_task_id = existing_task_id


class SpawnError(OverseerError):
    """A worker could not be started (no such program, not executable, no memory, NUL in an argument)."""


class CelError(OverseerError):
    """A CEL expression that cannot be compiled, with its place (both from 1, 0 when unknown)."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}" if self.line else self.message


class TemplateError(OverseerError):
    """A ``[[ ]]`` template that cannot be compiled or, rarely, rendered."""


class RequestError(OverseerError):
    """A client's request that is answered with an ``error`` message.

    ``id`` is the request's id as far as it could be read, else ``""``; ``param`` the parameter of a start
    that it is about; ``code`` one of :data:`REFUSALS`; ``answered``: whether its sender has been told.
    """

    code = "refused"

    def __init__(
        self, message: str, *, id: str = "", existing_task_id: str = "", param: str = "", code: str = ""
    ) -> None:
        super().__init__(message)
        self.answered = False
        self.message = message
        self.id = id
        self.existing_task_id = existing_task_id
        self.param = param
        if code:
            self.code = code


class TakenError(RequestError):
    """A start of a task that is in use already."""

    code = "conflict"


class NotRunningError(RequestError):
    """A request about the current run of a task that has none."""

    code = "not_running"

    def __init__(self) -> None:
        super().__init__("task is not running")


class ClosingError(RequestError):
    """A request to a server that is shutting down."""

    code = "unavailable"

    def __init__(self) -> None:
        super().__init__(CLOSING)


class NotPermittedError(RequestError):
    """A request that its client has no right to make.

    The text gives away nothing that the client may not see: it may deny that the task or action exists.
    """

    code = "not_permitted"
