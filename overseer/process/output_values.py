"""What a run hands on to those that follow it: the values that it has written to a file of its own."""

from __future__ import annotations

import re

OUTPUT_VARIABLE = "OVERSEER_OUTPUT"
"""The variable that holds that file's path."""

MOST = 64 << 10
"""Bytes of the file that count: the last ones."""

_VALUE = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)=(.*)")


def values_in(data: bytes) -> dict[str, str]:
    """The values in lines of ``NAME=value``, of which the last one of a name counts; other lines are none.

    Args:
        data: what was written; of more than :data:`MOST` bytes the first line is taken for half of one.
    """
    if len(data) > MOST:
        data = data[-MOST - 1 :]
        data = data[data.find(b"\n") + 1 :] if b"\n" in data else b""
    lines = data.decode("utf-8", "replace").split("\n")
    found = [match for line in lines if (match := _VALUE.fullmatch(line.removesuffix("\r")))]
    return {match[1]: match[2] for match in found}
