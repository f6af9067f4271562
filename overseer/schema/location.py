"""The errors and warnings of a configuration, collected with their locations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from overseer.errors import ConfigError

Path = tuple[str | int, ...]

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"(?= is )')  # a value that a message is about
_SHOWN = 20  # errors listed before the rest is only counted: a terminal's worth


class ConfigErrors(ConfigError):
    """Several errors at once; as a ConfigError it stands for the first, as text it is one line for each.

    ``errors`` is a non-empty tuple of ConfigError. A driver may raise it as well.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(first.message, path=first.path, file=first.file, line=first.line)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        lines = [str(error) for error in self.errors[:_SHOWN]]
        if len(self.errors) > _SHOWN:
            lines.append(f"... and {len(self.errors) - _SHOWN} more")
        return "\n".join(lines)


class ErrorCollector:
    """Collects the ConfigErrors of steps that do not depend on each other, so that all are reported at once.

    Each step goes into a ``with collector.step():``; their results count after :meth:`raise_errors`.
    """

    def __init__(self) -> None:
        self.errors: list[ConfigError] = []

    @contextmanager
    def step(self) -> Iterator[None]:
        """Catches and keeps a ConfigError."""
        try:
            yield
        except ConfigErrors as error:
            self.errors.extend(error.errors)
        except ConfigError as error:
            self.errors.append(error)

    def raise_errors(self) -> None:
        """Raises ConfigErrors with everything collected, if anything was."""
        if self.errors:
            raise ConfigErrors(self.errors)


@dataclass
class Report:
    """The errors and warnings found so far in ``file``; the one mutable thing while a config is read.

    ``templates`` is the dialect of the file's ``[[ ]]``, for the types that compile them, and ``booleans``
    the parameters that are bools there. ``line_of`` finds the line of a path, 0 without a file.
    """

    file: str = ""
    line_of: Callable[[Path], int] = lambda path: 0
    templates: Literal["go", "jinja"] = "go"
    booleans: frozenset[str] = frozenset()
    errors: list[ConfigError] = field(default_factory=list)
    warnings: list[ConfigError] = field(default_factory=list)
    unknown: list[ConfigError] = field(default_factory=list)  # those of them about unknown keys

    def raise_errors(self) -> None:
        """Raise the errors found, if any, in the file's order, then the unknown keys, which may be why.

        Raises:
            ConfigError: the error, or a ConfigErrors when there are several.
        """
        if not self.errors:
            return
        found = (self.errors, self.unknown)
        ordered = [each for some in found for each in sorted(some, key=lambda error: error.line)]
        raise ordered[0] if len(ordered) == 1 else ConfigErrors(ordered)

    def warning_texts(self) -> tuple[str, ...]:
        """The warnings as plain lines, in the file's order."""
        return tuple(str(warning) for warning in sorted(self.warnings, key=lambda warning: warning.line))


@dataclass(frozen=True)
class Location:
    """Where a key is: its path from the root and its line (from 1; 0 when it is not in a file)."""

    report: Report
    path: Path = ()
    line: int = 0

    def child(self, step: str | int, line: int) -> Location:
        """The location of a key (or item number) inside this one, whose line is known."""
        return Location(self.report, (*self.path, step), line)

    def at(self, *steps: str | int) -> Location:
        """The same by its path; the line of a key that is missing is that of what it is missing from."""
        path = (*self.path, *steps)
        return Location(self.report, path, self.report.line_of(path))

    def error(self, message: str) -> None:
        """Note an error here."""
        self.report.errors.append(self._note(message))

    def warn(self, message: str) -> None:
        """Note a probable mistake here."""
        self.report.warnings.append(self._note(message))

    def unknown(self, message: str) -> None:
        """Note that the key here is unknown."""
        note = self._note(message)
        self.report.warnings.append(note)
        self.report.unknown.append(note)

    def has_error(self, step: str) -> bool:
        """Whether an error was noted about the key ``step`` inside this one."""
        return any(error.path == (*self.path, step) for error in self.report.errors)

    def _note(self, message: str) -> ConfigError:
        secret = self.path[:1] == ("webhooks",) and "secret" in self.path
        if secret or self.path[:1] in (("auth",), ("secrets",), ("channels",)):
            # A misplaced token or secret may stand there; what was expected is enough.
            message = _QUOTED.sub("this", message.partition(", found ")[0])
        # A key may contain anything, line ends included; the report stays one plain line.
        path = tuple(
            step if isinstance(step, int) or (step and step.isprintable()) else quoted(step)
            for step in self.path
        )
        return ConfigError(message, path=path, file=self.report.file if self.line else "", line=self.line)


def check_alternatives(
    read: object,
    keys: tuple[str, ...],
    location: Location,
    none: str = "",
    several: str = "are alternatives: keep one of them",
) -> None:
    """Report that several of these keys are given or, where ``none`` says so, none of them."""
    given = [key for key in keys if getattr(read, key)]
    if len(given) > 1:
        location.error(f"{' and '.join(given)} {several}")
    elif none and not given and not any(map(location.has_error, keys)):
        location.error(none)


def quoted(text: str) -> str:
    """``text`` in double quotes for a message: one line, printable, cut at 60 characters."""
    cut = text if len(text) <= 60 else text[:57] + "..."
    shown = cut.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown) + '"'
