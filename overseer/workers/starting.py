"""Starts workers that are OS processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from overseer.process import cgroup
from overseer.process.environment import read_env_files
from overseer.process.guardian import guardian
from overseer.process.identity import Identity, identity_of
from overseer.process.output_values import OUTPUT_VARIABLE
from overseer.process.private_files import PrivateFiles
from overseer.process.registry import Entry, registry
from overseer.process.setup import Setup
from overseer.process.spawn import spawn
from overseer.process.standalone.tree import RUN_VARIABLE, SERVER_VARIABLE
from overseer.process.stdin import Stdin
from overseer.workers.base import RunContext, Worker, WorkerCallbacks
from overseer.workers.config import WorkerConfig
from overseer.workers.os_process import OSWorker
from overseer.workers.surroundings import Surroundings


def start_worker(config: WorkerConfig, callbacks: WorkerCallbacks) -> Worker:
    """Start an OS process; its output may be reported before this returns.

    Raises:
        SpawnError: it cannot be started; the message is one sentence.
    """
    run = callbacks.run or RunContext(config.task_id)
    on_terminal = config.stdin == "pty"
    who = identity_of(config.user, config.group) if config.user or config.group else Identity()
    variables = _variables(config, run, who)
    contents = {variable: run.secret(name) for variable, name in config.secret_files.items()}
    files: PrivateFiles | None = None
    stdin = Stdin(config.stdin, config.pty)
    entry = Entry(run.run_id, config.stop if config.stop is not None else run.stop, tty=stdin.tty)
    registry.enter(entry)
    guardian.tell(entry)
    try:
        if config.cgroup is not None:
            entry.cgroup = config.cgroup.make(run.run_id)
        if contents or run.hands_on:
            files = _private_files(run, contents, who)
            variables |= files.paths
        child = spawn(
            config.command,
            config.args,
            env=variables | run.env | _markers(config, run),
            cwd=config.cwd,
            streams=[] if on_terminal else _streams(config),
            merge=config.merge,
            inherit=config.inherit_env,
            umask=config.umask,
            setup=Setup(stdin.tty, config.nice, config.rlimits, who, entry.cgroup),
            stdin=stdin.theirs,
        )
    except BaseException:
        stdin.discard()
        registry.leave(entry)
        guardian.forget(entry.run)
        if entry.cgroup:
            cgroup.remove(entry.cgroup)
        if files is not None:
            files.remove()
        raise
    finally:
        stdin.handed_over()
    registry.spawned(entry, child.pid, frozenset({stdin.tty}) if on_terminal else child.links())
    guardian.tell(entry)
    if on_terminal:
        child = replace(child, pipes={"stdout": stdin.master})
    shown = config.include_stdout or not on_terminal
    worker = OSWorker(config.task_id, child, entry, run, callbacks, files, stdin.input, shown)
    if run.probed:
        env = variables | {"OVERSEER_TASK_ID": config.task_id}
        worker.surroundings = Surroundings(env, config.inherit_env, config.cwd, config.umask, who)
    worker.begin()
    worker.begun()
    return worker


def _variables(config: WorkerConfig, run: RunContext, who: Identity) -> dict[str, str]:
    """What is set for the process beside what it inherits."""
    terminal = {"TERM": "xterm-256color"} if config.stdin == "pty" else {}
    secrets = {variable: run.secret(name) for variable, name in config.secret_env.items()}
    return {**terminal, **who.variables, **read_env_files(config.env_file), **(config.env or {}), **secrets}


def _markers(config: WorkerConfig, run: RunContext) -> dict[str, str]:
    """The variables that its processes are recognised by."""
    return {
        "OVERSEER_TASK_ID": config.task_id,
        RUN_VARIABLE: run.run_id,
        SERVER_VARIABLE: registry.server_id,
    }


def _streams(config: WorkerConfig) -> list[str]:
    """Those that are read through a pipe each."""
    stderr = config.include_stderr and not config.merge
    return ["stdout"] * config.include_stdout + ["stderr"] * stderr


def _private_files(run: RunContext, contents: Mapping[str, str], who: Identity) -> PrivateFiles:
    files = {variable: value.encode("utf-8", "surrogateescape") for variable, value in contents.items()}
    owner = None if who.uid is None else (who.uid, -1 if who.gid is None else who.gid)
    return PrivateFiles(run.run_id, files, owner, OUTPUT_VARIABLE if run.hands_on else "")
