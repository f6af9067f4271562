"""Types of arguments for argparse, which calls each by its name in errors."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from overseer.client.arguments import signal_of
from overseer.protocol import RUN_STATUS, STATUS
from overseer.util.durations import parse_duration
from overseer.util.suggest import did_you_mean


class Once(argparse.Action):
    """An option that is refused where it is given twice, since the first one would be ignored."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if getattr(namespace, self.dest) is not None:
            raise argparse.ArgumentError(self, "given twice; it takes one")
        setattr(namespace, self.dest, values)


def nonempty(text: str) -> str:
    """A name or a setting. An empty one is refused: most likely it is a variable that was never set, and
    would count as not given."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"it is not UTF-8: {text!a}") from None
    return text


def seconds(text: str) -> float:
    """A number of seconds, or a duration."""
    try:
        found = float(text)
    except ValueError:
        found = parse_duration(text) / 1e9
    if not 0 <= found < 1e9:
        raise ValueError
    return found


def length(text: str) -> float:
    """Of time, more than none, in seconds."""
    if not (found := seconds(text)):
        raise argparse.ArgumentTypeError("it must be more than zero")
    return found


length.__name__ = seconds.__name__ = "number of seconds or duration"  # for argparse's error


def signal_name(text: str) -> str:
    """By its name or number."""
    try:
        return signal_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"unknown signal {text}") from None


def count(text: str) -> int:
    """Of zero or more."""
    found = int(text)
    if found < 0:
        raise ValueError
    return found


count.__name__ = "count"


def place(text: str) -> int:
    """In a queue, from 1."""
    found = int(text)
    if found < 1:
        raise ValueError
    return found


def last(text: str) -> int | None:
    """How many of the last lines; None: all."""
    return None if text == "all" else count(text)


def most(text: str) -> int:
    """How many at most; 0: all."""
    return 0 if text == "all" else count(text)


def statuses(text: str) -> tuple[str, ...]:
    """Words for what tasks are, with commas between them."""
    return _words(text, STATUS.words)


RUN_STATUSES = (*RUN_STATUS.words, "errored")  # failed, and its task was given up


def run_statuses(text: str) -> tuple[str, ...]:
    """The same for runs."""
    return _words(text, RUN_STATUSES)


def _words(text: str, known: Sequence[str]) -> tuple[str, ...]:
    found = dict.fromkeys(word.strip() for word in text.split(","))
    for word in found:
        if word not in known:
            near = did_you_mean(word, known) or f"; known are {', '.join(known)}"
            raise argparse.ArgumentTypeError(f"unknown status {word or text!r}{near}")
    return tuple(found)


last.__name__ = most.__name__ = count.__name__
