"""Types of arguments for argparse, which calls each by its name in errors."""

from __future__ import annotations

import argparse

from overseer.client.arguments import signal_of
from overseer.protocol import STATUS
from overseer.util.durations import parse_duration
from overseer.util.suggest import did_you_mean


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


seconds.__name__ = "number of seconds or duration"  # for argparse's error


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
    found = tuple(word.strip() for word in text.split(","))
    for word in found:
        if word not in STATUS.words:
            near = did_you_mean(word, STATUS.words) or f"; known are {', '.join(STATUS.words)}"
            raise argparse.ArgumentTypeError(f"unknown status {word or text!r}{near}")
    return found


last.__name__ = most.__name__ = count.__name__
