"""A client's rights: a name, a role and the actions it is limited to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

ROLES = ("viewer", "operator", "admin")
"""From least to most; each includes those before it."""

_REQUESTS = {
    "viewer": (
        "list", "subscribe", "unsubscribe", "watch", "unwatch", "graph", "cluster", "runs", "run_stats",
        "logs", "search", "replay", "describe", "pool_info", "metrics", "usage", "schedules", "manifest",
    ),
    "operator": (
        "start", "stop", "reset", "signal", "input", "resize", "restart", "forget", "move",
        "pause", "resume",
    ),
    "admin": ("set_pool", "purge", "reload", "notify_test", "upgrade"),
}  # fmt: skip
NEEDS: Mapping[str, str] = {request: role for role, requests in _REQUESTS.items() for request in requests}
"""The role that each request needs; any other request needs ``admin``."""

_ABOUT_POOLS = ("set_pool", "purge")
_ABOUT_ALL = ("reload", "notify_test", "upgrade")


@dataclass(frozen=True, slots=True)
class Principal:
    """An identity with rights.

    ``name`` is for people and the audit: a token's, ``uid N``, or ``""`` where no identity is asked for.
    ``actions`` are globs (``build-*``) of the actions it can see and use; None: all.
    ``credential`` is the SHA-256 of its token, if any: another token makes another principal.
    """

    name: str
    role: str
    actions: tuple[str, ...] | None = None
    credential: bytes = field(default=b"", repr=False)

    def sees(self, action: str) -> bool:
        """Whether an action, and with it its tasks, queue and counters, is visible."""
        return self.actions is None or any(fnmatchcase(action, glob) for glob in self.actions)

    @property
    def scope(self) -> Callable[[str], bool] | None:
        """:meth:`sees`, or None when it sees every action."""
        return None if self.actions is None else self.sees

    def missing(self, request: str, action: str = "") -> str:
        """Why a request of this type is not permitted, as a sentence for its sender; ``""`` when it is.

        ``action`` matters for pools only, where ``""`` stands for the global one.
        """
        needed = NEEDS.get(request, "admin")
        if ROLES.index(self.role) < ROLES.index(needed):
            return f"not permitted: {request} needs the role {needed}, and yours is {self.role}"
        if request in _ABOUT_POOLS and not action and self.actions is not None:
            return f"not permitted: {request} without an action concerns all actions, and yours are limited"
        if request in _ABOUT_ALL and self.actions is not None:
            return f"not permitted: {request} concerns all actions, and yours are limited"
        return ""


ANYONE = Principal("", "admin")
"""Everybody, where no identity is asked for."""
