"""The directory of a task's log, named after the task, whatever its id contains."""

from __future__ import annotations

import os
from contextlib import suppress
from urllib.parse import quote, unquote

from overseer.logs.files import add
from overseer.util.hashes import sha256

_LONGEST = 200  # bytes of a name; file systems allow 255
_HASHED = "%sha256-"  # no percent-encoded id begins with this
_ID = "task_id"  # the file in a hashed directory that holds the id


def name_of(task_id: str) -> str:
    """The name of the task's directory."""
    name = quote(task_id, safe="", errors="surrogatepass")
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _LONGEST:
        return _HASHED + sha256(name.encode()).hexdigest()
    return name


def task_of(directory: str) -> str:
    """The task that a directory belongs to, or ``""``."""
    name = os.path.basename(directory)  # noqa: PTH119
    if not name.startswith(_HASHED):
        return unquote(name, errors="surrogatepass")
    try:
        with open(f"{directory}/{_ID}", "rb") as file:  # noqa: PTH123
            return file.read().decode("utf-8", "surrogatepass")
    except (OSError, ValueError):
        return ""


def make(directory: str) -> None:
    """Create a task's directory, and its parent if necessary. Raises OSError."""
    try:
        os.mkdir(directory, 0o700)  # noqa: PTH102
    except FileExistsError:
        pass
    except FileNotFoundError:
        with suppress(FileExistsError):  # another task's first line may come at the same time
            os.mkdir(os.path.dirname(directory), 0o700)  # noqa: PTH102, PTH120
        os.mkdir(directory, 0o700)  # noqa: PTH102


def keep_id(directory: str, task_id: str) -> None:
    """Store the id that a directory's name does not tell, unless it is there: a full disk or a crash may have
    kept it out. Raises OSError."""
    if not os.path.basename(directory).startswith(_HASHED) or task_of(directory) == task_id:  # noqa: PTH119
        return
    add(f"{directory}/{_ID}", task_id.encode("utf-8", "surrogatepass"), anew=True)
