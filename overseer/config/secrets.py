"""The section ``secrets``: the sources of secrets for commands."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from overseer.schema.fields import declared, field
from overseer.schema.location import Location, check_alternatives
from overseer.schema.objects import ListOf, Object
from overseer.schema.types import Text


@declared()
class SecretSource:
    """One of ``secrets``: exactly one of the three keys."""

    name: str
    file: str = field(Text("path"), "A file that holds it, read at each start of a run.", default="")
    env: str = field(
        Text(),
        "A variable of the server's environment that holds it: read once, when the server starts, and "
        "removed from its environment.",
        default="",
    )
    command: tuple[str, ...] = field(
        ListOf(Text()),
        "A program with its arguments that prints it, run at each start of a run, for ten seconds at most.",
        default=(),
    )


def _source(read: SecretSource, location: Location) -> SecretSource:
    check_alternatives(read, ("file", "env", "command"), location, "say where it is: file, env or command")
    if "=" in read.env:
        location.at("env").error("is not a valid name for a variable: it contains a =")
    if read.command and not read.command[0]:
        location.at("command").error("needs the program to run")
    return read


SOURCE = Object(SecretSource, _source, strict=True)


def problem_of(source: SecretSource, is_set: bool) -> str:
    """Why the secret cannot be read now; ``""`` if it can, as far as can be told without reading it.

    Args:
        is_set: whether the variable that it names was in the server's environment.
    """
    if source.env:
        return "" if is_set else f"the environment has no {source.env}"
    if source.command:
        return "" if shutil.which(source.command[0]) else f'no such program "{source.command[0]}"'
    try:
        mode = Path(source.file).stat().st_mode
    except OSError as error:
        return f"{source.file}: {error.strerror}"
    if not os.access(source.file, os.R_OK) or not Path(source.file).is_file():
        return f"{source.file} cannot be read"
    if mode & 0o004:
        return f"every user of this machine can read {source.file}: chmod 600 it"
    return ""
