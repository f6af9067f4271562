"""What the server would stumble over at its start, although the configuration is well written."""

from __future__ import annotations

import grp
import os
import stat
from pathlib import Path

from overseer.config import Config, ConfigErrors, parse_listen
from overseer.errors import ConfigError
from overseer.process import can_look
from overseer.util.files import open_to_append


def check_places(config: Config, *, listens: bool) -> None:
    """See whether there are places for the files that the server makes. Nothing is made here.

    Args:
        listens: whether the server opens the address in the configuration itself.

    Raises:
        ConfigErrors: a directory or a group that does not exist, or what can only be something else.
    """
    files = {"log_file": config.log_file, "audit_file": config.audit_file}
    found = [(key, problem) for key, path in files.items() if path and (problem := _problem(path))]
    listen = parse_listen(config.listen)
    if listens and listen.kind == "unix":
        place = Path(listen.path)
        if not place.parent.is_dir():
            found.append(("listen", f"there is no directory {place.parent}"))
        elif os.path.lexists(place) and not stat.S_ISSOCK(place.lstat().st_mode):
            found.append(("listen", f"{place} exists and is not a socket"))
        if config.socket_group and not _is_group(config.socket_group):
            found.append(("socket_group", f"there is no group {config.socket_group}"))
    if found:
        raise ConfigErrors([config.placed(ConfigError(problem), key) for key, problem in found])


def system_advice() -> list[str]:
    """What the system withholds that the server needs, a sentence each."""
    if can_look():
        return []
    return [
        "/proc shows no processes: a stop ends only the process group of its task, and nothing ends the "
        "tasks of a server that is killed outright; mount a proc file system there"
    ]


def _problem(path: str) -> str:
    """What is in the way of appending to a file, which may be about to be made."""
    try:
        os.close(open_to_append(path, 0, make=False))
    except FileNotFoundError:
        parent = Path(path).parent
        return "" if parent.is_dir() else f"there is no directory {parent}"
    except OSError as error:
        said = error.strerror or str(error)
        return f"{path} {said.removeprefix('it ')}" if said.startswith("it ") else f"{path}: {said}"
    return ""


def _is_group(name: str) -> bool:
    if name.isascii() and name.isdigit():
        return True
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
