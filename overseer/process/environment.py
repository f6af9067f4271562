"""A child's environment: the variables it inherits and those from env files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from overseer.errors import SpawnError
from overseer.util.files import read_small

SECRETS: set[str] = {"OVERSEER_TOKEN"}
"""Variables of the server's environment that are kept from all children."""

_MINIMAL = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR", "TERM"}  # and LC_*
_MOST = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# A part of a word, as sh reads it: quoted, escaped or bare.
_PART = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^\s'"\\]+)""", re.DOTALL)
_ESCAPE = re.compile(r'\\([$`"\\\n])')


@dataclass(frozen=True, slots=True)
class EnvFile:
    """A file of variables, read at each start; one that is not ``required`` may be missing."""

    path: str
    required: bool = True


def inherited(which: str | Collection[str]) -> dict[bytes, bytes]:
    """The server's own variables that a child gets: "all", "minimal", "none", or those named.

    Raises:
        SpawnError: ``which`` is some other word.
    """
    if isinstance(which, str) and which not in ("all", "minimal", "none"):
        raise SpawnError(f"inherit_env must be all, minimal, none or a list of names, not {which!r}")
    # In one call: other threads may change them, and asking for each takes a tenth of a start's CPU time.
    environment: dict[bytes, bytes] = os.environb._data.copy()  # type: ignore[attr-defined]
    for name in SECRETS:
        environment.pop(os.fsencode(name), None)
    if which == "all":
        return environment
    return {key: value for key, value in environment.items() if _is_inherited(os.fsdecode(key), which)}


def _is_inherited(name: str, which: str | Collection[str]) -> bool:
    if which == "minimal":
        return name in _MINIMAL or name.startswith("LC_")
    return which != "none" and name in which


def read_env_files(files: Collection[EnvFile]) -> dict[str, str]:
    """The variables of all files; later files win.

    Raises:
        SpawnError: a file cannot be read or parsed; the text names the file and the line.
    """
    variables: dict[str, str] = {}
    for file in files:
        try:
            data = read_small(file.path, _MOST).data
        except FileNotFoundError as error:
            if file.required:
                raise SpawnError(f"env_file {file.path!r} cannot be read: {error.strerror}") from error
            continue
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SpawnError(f"env_file {file.path!r} cannot be read: {reason}") from error
        if len(data) > _MOST:
            raise SpawnError(f"env_file {file.path!r} is larger than {_MOST >> 20} MiB")
        try:
            variables.update(parse_env_file(os.fsdecode(data)))
        except ValueError as error:
            raise SpawnError(f"env_file {file.path!r}, {error}") from error
    return variables


def parse_env_file(text: str) -> Mapping[str, str]:
    """Parse ``NAME=value`` lines: quotes and ``#`` as in sh, an optional ``export``, no expansion.

    Raises:
        ValueError: a syntax error; the text begins with "line N:".
    """
    variables: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        if text[at].isspace():
            at += 1
        elif text[at] == "#":
            at = (text.find("\n", at) + 1) or end
        else:
            begun = at
            word, at = _word(text, at)
            name, equals, value = word.partition("=")
            if equals and _NAME.match(name):
                variables[name] = value
            elif word != "export":
                line = _line(text, begun)
                raise ValueError(f"line {line}: expected NAME=value; a value with spaces needs quotes")
    return variables


def _word(text: str, at: int) -> tuple[str, int]:
    """The word that begins at ``at``, unquoted, and where it ends."""
    parts: list[str] = []
    while at < len(text) and not text[at].isspace():
        part = _PART.match(text, at)
        if part is None:
            raise ValueError(f"line {_line(text, at)}: unclosed quote")
        single, double, escaped, bare = part.groups()
        if double is not None:
            parts.append(_ESCAPE.sub(lambda found: found[1].strip("\n"), double))
        elif escaped is not None:
            parts.append(escaped.strip("\n"))  # a backslash before a newline joins the lines
        else:
            parts.append(single if single is not None else bare)
        at = part.end()
    if "\0" in (word := "".join(parts)):
        raise ValueError(f"line {_line(text, at)}: a variable cannot hold a NUL character")
    return word, at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
