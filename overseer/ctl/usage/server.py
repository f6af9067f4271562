"""The commands about standing tasks and the server."""

from __future__ import annotations

import argparse

from overseer.ctl.usage.commands import TASK, Commands, flag, tasks, yes
from overseer.ctl.values import count, nonempty, seconds


def add_standing(commands: Commands) -> None:
    commands.group("Standing tasks")
    commands.add("graph", "show the standing tasks, and what each of them waits for")
    commands.add("cluster", "show the clusters that tasks run on, and what runs where")
    command = commands.add(
        "schedules",
        "show when standing tasks start next, and which starts were skipped",
        "Times are local. A single task is shown in full: its next times, and why each skipped one was.",
        "schedules",
        "schedules nightly -n 10",
    )
    command.add_argument("task", type=nonempty, metavar=TASK, nargs="?", help="only this task's")
    command.add_argument(
        "-n", "--next", type=count, metavar="COUNT", help="the next COUNT starts, at most 100 of each task"
    )
    for name, help in (
        ("pause", "keep schedules from starting tasks"),
        ("resume", "let schedules start paused tasks again"),
    ):
        tasks(commands.add(name, help, "", f"{name} nightly"), help="an id, or the beginning of one")


def _action(command: argparse._ActionsContainer, help: str = "") -> None:
    help = help or "of this action; default: of the whole server"
    command.add_argument("action", type=nonempty, metavar="ACTION", nargs="?", help=help)


def add_server(commands: Commands) -> None:
    commands.group("The server")
    _action(commands.add("actions", "show what can be started"), "only this one, in full")
    command = commands.add("describe", "explain an action and its parameters", "", "describe build")
    command.add_argument("action", type=nonempty, metavar="ACTION", help="an action of the server's config")
    help = "show how full a pool is and which tasks are queued"
    _action(commands.add("pool", help, "", "pool", "pool build"))
    command = commands.add(
        "set-pool", "change a pool at runtime", "", "set-pool --limit 8", "set-pool build --limit 2"
    )
    _action(command)
    command.add_argument("--limit", type=count, help="how many may run at once; 0: unlimited")
    command.add_argument("--queue-size", type=count, help="how many may be queued; 0: unlimited")
    command.add_argument(
        "--excess", choices=("stop", "requeue"), help="what happens to tasks above a lowered limit"
    )
    command.add_argument(
        "--order", choices=("first", "last"), help="which of them first: the longest running or the newest"
    )
    command.add_argument("--grace", type=seconds, help="seconds between SIGTERM and SIGKILL")
    yes(command)
    command = commands.add("purge", "empty a queue", "", "purge build", "purge --all --yes")
    which = command.add_mutually_exclusive_group(required=True)  # to empty all must be asked for explicitly
    _action(which, "of this action")
    flag(which, "--all", help="every queue of the server")
    yes(command)
    command = commands.add("metrics", "show counters", "", "metrics", "metrics build", "metrics --task web")
    _action(command)
    command.add_argument("--task", type=nonempty, metavar=TASK, help="of this task instead")
    command = commands.add("reload", "reload the server's configuration, without stopping a task")
    flag(command, "--dry-run", help="only say what would change")
    command = commands.add(
        "upgrade",
        "replace the running server with the version installed now; tasks keep running",
        "Connections stay open too; encrypted ones reconnect. Drivers' functions and services cannot be "
        "carried over: by default nothing happens while any are running.",
        *("upgrade --check", "upgrade", "upgrade --wait 10m"),
    )
    flag(command, "--check", help="only check whether it would work; nothing changes")
    left = command.add_mutually_exclusive_group()
    left.add_argument(
        "--wait",
        type=seconds,
        metavar="DURATION",
        default=0.0,
        help="wait up to this long for what cannot be carried over to end",
    )
    flag(left, "--force", help="end what cannot be carried over")
    yes(command)
    command = commands.add("notify", "send a test notice", "", "notify test ops")
    command.add_argument("what", choices=("test",), help="what to send: a test")
    command.add_argument("channel", type=nonempty, metavar="CHANNEL", help="its name in the server's config")
    commands.add("check", "check that the server answers")


def add_own(commands: Commands) -> None:
    commands.group("overseerctl itself")
    command = commands.add(
        "completion", "print a shell's completion script", 'For bash: eval "$(overseerctl completion bash)"'
    )
    command.add_argument("shell", choices=("bash", "zsh", "fish"))
