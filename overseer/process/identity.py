"""The user and group a process runs as, by name or number, and whether this process may take them on."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from overseer.errors import SpawnError

CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SYS_NICE, CAP_SYS_RESOURCE = 5, 6, 7, 23, 24
_LARGEST_ID = 2**32 - 2  # to the kernel, the next one means "unchanged"


@dataclass(frozen=True, slots=True)
class Identity:
    """The ids a process is to run with; None leaves one unchanged.

    ``user`` and ``group`` are as configured, "" if not.
    """

    user: str = ""
    group: str = ""
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


def identity_of(user: str, group: str) -> Identity:
    """Look up a user and a group, each a name or a number; "" is this process's own.

    May query a directory service.

    Raises:
        SpawnError: one does not exist; the text begins with the key.
    """
    gid = _group(group) if group else None
    if not user:
        return Identity(group=group, gid=gid)
    groups: tuple[int, ...]
    if (entry := _user(user)) is None:
        uid = _number("user", user)
        if gid is None and uid != os.geteuid():
            raise SpawnError(f"user: no account has the number {user}, so a group is needed")
        groups = () if gid is None else (gid,)
        variables = {"HOME": "/", "USER": user, "LOGNAME": user}
    else:
        uid, name = entry.pw_uid, entry.pw_name
        gid = entry.pw_gid if gid is None else gid
        groups = tuple(os.getgrouplist(name, gid))
        variables = {"HOME": entry.pw_dir, "USER": name, "LOGNAME": name}
    own = uid == os.geteuid()
    if own and not group:  # nothing changes, so no privilege is needed
        return Identity(user, variables=variables)
    return Identity(user, group, None if own else uid, gid, groups, variables)


def _user(user: str) -> pwd.struct_passwd | None:
    """None for a number without an account."""
    try:
        return pwd.getpwnam(user)
    except (KeyError, ValueError):
        pass
    try:
        return pwd.getpwuid(_number("user", user))
    except KeyError:
        return None


def _group(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        return _number("group", group)


def _number(key: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise SpawnError(f"{key}: no such {key} {text!r}")
    if len(text) > 10 or int(text) > _LARGEST_ID:
        raise SpawnError(f"{key}: {text[:40]} is too large: the most is {_LARGEST_ID}")
    return int(text)


def is_capable(*capabilities: int) -> bool:
    """Whether this process has all of these capabilities."""
    for line in Path("/proc/thread-self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return all(int(line.split()[1], 16) >> each & 1 for each in capabilities)
    return os.geteuid() == 0


def fault_of(who: Identity) -> tuple[str, str] | None:
    """The key that this process lacks the right to set, and why; None if it may set all."""
    if who.uid is not None and not is_capable(CAP_SETUID, CAP_SETGID):
        return refusal("user", who)
    if who.uid is not None and os.geteuid() != 0 and not is_capable(CAP_KILL):
        return "user", f"the server may become {who.user!r}, but could not stop a task of that user"
    own = who.gid is None or (who.groups is None and who.gid in os.getresgid())
    return None if own or is_capable(CAP_SETGID) else refusal("group", who)


def refusal(key: str, who: Identity) -> tuple[str, str]:
    """A key, user or group, with the message that this process may not set it."""
    what = f"become {who.user!r}" if key == "user" else f"take on the group {who.group!r}"
    return key, f"the server runs as {_name_of(os.geteuid())} and may not {what}"


def _name_of(uid: int) -> str:
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)
