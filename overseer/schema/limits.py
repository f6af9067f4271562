"""Bounds on what one message may hold; its size in bytes is bounded by the transport that reads it."""

from __future__ import annotations

from dataclasses import dataclass

MAX_NAME = 256
"""The most characters an ``id``, a ``task_id`` or the name of an action or a parameter may have."""


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """How much a request may ask for before it is refused.

    ``params`` is a number of parameters, ``param_value`` a length in characters (the default is Linux's limit
    for one argument of a program), ``params_size`` the characters of all their names and values, which
    are kept for as long as the task is remembered, and ``depth`` the levels of arrays and objects in one
    message.
    """

    params: int = 256
    param_value: int = 128 * 1024
    params_size: int = 256 * 1024
    depth: int = 32
