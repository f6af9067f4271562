"""The settings of a worker that is an OS process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overseer.process.cgroup import Cgroup
from overseer.process.environment import EnvFile
from overseer.process.policy import StopPolicy


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """An OS process to run.

    Signals that this program ignores are ignored by the process, too, by the rules of exec. (The daemon has
    no-op handlers instead, which are not inherited.)

    Attributes:
        command: found through PATH unless it has a slash; no shell is involved.
        args: without the command itself.
        include_stdout, include_stderr: a stream that is not included goes to /dev/null.
        merge: stderr goes where stdout goes, so that lines keep their order; all count as stdout then.
        env: added to the inherited variables and those of ``env_file``.
        env_file: files of variables, read at the start; later files win.
        inherit_env: what is inherited of the server's environment: "all", "minimal" (PATH, HOME, USER,
            LOGNAME, SHELL, LANG, LC_*, TZ, TMPDIR, TERM), "none", or the names given.
        umask: None: the server's.
        cwd: None: the server's.
        nice: niceness, from -20 to 19.
        rlimits: soft and hard limit by resource, named as in RLIMIT_* (``nofile``); -1: unlimited.
        user: the user it runs as, by name or number, with that user's groups, HOME, USER and LOGNAME.
        group: its group, by name or number; "": the user's.
        cgroup: limits for all its processes together, in a cgroup of its own.
        stdin: "none" (/dev/null), "pipe", or "pty": a terminal, which takes its output as well, all of it
            as stdout.
        pty: the terminal's rows and columns.
        stop: None: the run's own (:class:`RunContext`).
        secret_env: variables that get a server secret's value, with the secret's name.
        secret_files: variables that get the path of a file with a secret, with the secret's name; the file is
            readable by the process's user only, and removed with the run.
    """

    task_id: str
    command: str
    args: Sequence[str] = ()
    include_stdout: bool = True
    include_stderr: bool = True
    env: Mapping[str, str] | None = field(default=None, repr=False)
    cwd: str | None = None
    stop: StopPolicy | None = None
    merge: bool = False
    env_file: Sequence[EnvFile] = ()
    inherit_env: str | Sequence[str] = "all"
    umask: int | None = None
    nice: int | None = None
    rlimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    user: str = ""
    group: str = ""
    cgroup: Cgroup | None = None
    stdin: str = "none"
    pty: tuple[int, int] = (24, 80)
    secret_env: Mapping[str, str] = field(default_factory=dict)
    secret_files: Mapping[str, str] = field(default_factory=dict)
