"""What the overseer and a runner say to each other: frames of a JSON object and bytes.

To a runner: ``run`` with a whole :class:`Order`, ``stop``, ``signal``, ``input``, ``resize``, ``took`` (so
many bytes of its output have been handed on), ``renew`` (for ``lease`` seconds, if it says so), ``measure``.
From it: ``started`` or ``failed``, then ``out`` (lines), ``part`` (an unfinished line), ``raw`` (a terminal's
output), ``event``, ``took`` (so many bytes of input), at last ``exit``; and ``usage`` of all runs, when it
has been asked to ``measure``. Its relay says ``gone`` of a run whose place was given up. All but ``renew``,
``measure`` and ``usage`` name their ``run``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from overseer.process.policy import StopPolicy
from overseer.util.dataclass_json import from_plain
from overseer.workers.config import WorkerConfig

FORMAT = 1
"""Of these frames; an overseer and a worker must agree on it."""

WINDOW = 1 << 20
"""Bytes of a run's output, or of its input, that may be under way unacknowledged."""

Frame = tuple[dict[str, Any], bytes]
"""A head and a body."""

Numbered = tuple[int, bytes, bytes]
"""A frame under way between an overseer and a relay: its number, its head as JSON, and its body."""

_SIZES = struct.Struct("!II")


def pack(head: Mapping[str, Any], body: bytes = b"") -> bytes:
    text = json.dumps(head, separators=(",", ":")).encode()
    return b"".join((_SIZES.pack(len(text), len(body)), text, body))


class Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """So many bytes, or fewer at the end."""


def read_frame(stream: Readable) -> tuple[bytes, bytes] | None:
    """The head, still JSON, and the body of the next frame; None at the end. Raises OSError."""
    sizes = stream.read(_SIZES.size)
    if len(sizes) < _SIZES.size:
        return None
    of_head, of_body = _SIZES.unpack(sizes)
    data = stream.read(of_head + of_body)
    return (data[:of_head], data[of_head:]) if len(data) == of_head + of_body else None


@dataclass(frozen=True)
class Order:
    """All that a runner needs to know of a run.

    Attributes:
        config: its process, with the names of secrets.
        secrets: the values of those, by name.
        masked: values to hide in its output.
        hands_on: it is given a file for values that are handed on.
        shows: the callbacks beside ``on_output`` that are wanted: "unfinished", "raw".
    """

    run: str
    config: WorkerConfig
    policy: StopPolicy
    max_line: int
    secrets: Mapping[str, str]
    masked: tuple[str, ...]
    hands_on: bool
    shows: tuple[str, ...]

    def head(self) -> dict[str, Any]:
        return {"op": "run", **asdict(replace(self, config=replace(self.config, stop=None)))}

    @classmethod
    def of(cls, head: Mapping[str, Any]) -> Order:
        return from_plain(cls, head)


class RunnerLink(Protocol):
    """The way to a run's runner."""

    @property
    def host(self) -> str: ...

    def say(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a word to the runner; does not block."""

    def measure(self) -> None:
        """Ask what all runs there use; does not block."""

    def took(self, run: str, size: int) -> None:
        """So many bytes of a run's output have been handed on; does not block."""

    def export(self, run: str) -> dict[str, Any]:
        """What another program needs of it to go on with a run."""
