"""The words in the server's messages, as types for checkers."""

from __future__ import annotations

from typing import Literal, TypeAlias

Status: TypeAlias = Literal[
    "running",
    "ready",
    "queued",
    "waiting",
    "restarting",
    "succeeded",
    "failed",
    "errored",
    "stopped",
    "lost",
]
"""What a task is, in one word."""

RunStatus: TypeAlias = Literal["running", "succeeded", "failed", "stopped", "lost"]
"""What became of a run."""

Reason: TypeAlias = Literal[
    "exited", "signal", "timeout", "stopped", "oom", "unhealthy", "start_failed", "lost", "shutdown"
]
"""Why a run ended."""

Refusal: TypeAlias = Literal[
    "invalid",
    "not_permitted",
    "not_found",
    "conflict",
    "not_running",
    "full",
    "too_many",
    "failed",
    "not_configured",
    "unavailable",
    "refused",
]
"""Why a request was refused: the ``code`` of a ``RefusedError``."""

Stream: TypeAlias = Literal["stdout", "stderr"]
"""Where a line came from."""

OnLag: TypeAlias = Literal["catch_up", "block", "drop"]
"""What happens when a handle is read too slowly."""
