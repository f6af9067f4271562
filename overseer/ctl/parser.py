"""overseerctl's commands and options."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from overseer.client import DEFAULT_URL
from overseer.ctl.status import EXITS
from overseer.ctl.terminal import write_out
from overseer.messages import utf8

__all__ = ["make_parser"]


class Parser(argparse.ArgumentParser):
    """argparse's, in overseerctl's manner."""

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help, which argparse would lose without a word when stdout takes nothing."""
        write_out(utf8(message), "stderr" if file is sys.stderr else "stdout")


def make_parser() -> tuple[argparse.ArgumentParser, argparse.Action]:
    """The parser, and the part of it that holds the commands."""
    common = _common()
    parser = Parser(
        prog="overseerctl",
        description="Talks to a running sticky-overseer.",
        epilog=f"{EXITS}\nEach command has its own --help. Completion: overseerctl completion bash|zsh|fish",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str, more: str = "") -> argparse.ArgumentParser:
        description = f"{help[0].upper()}{help[1:]}. {more}".strip()
        made = commands.add_parser(
            name,
            help=help,
            description=description,
            epilog=EXITS if name in ("run", "wait") else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[common],
            allow_abbrev=False,
        )
        made.add_argument("--json", action="store_true", help="for programs")
        return made

    for name, help, more in (
        ("run", "start a task, show its output and exit with its exit code", "Ctrl-C stops the task."),
        ("start", "start a task and print its id", ""),
    ):
        command = add(name, help, more)
        command.add_argument("action", metavar="ACTION", help="an action of the server's config")
        command.add_argument("params", metavar="KEY=VALUE", nargs="*", help="a parameter of the action")
        command.add_argument(
            "--id", default="", metavar="TASK_ID", help="the task's id (default: a random one)"
        )
        command.add_argument(
            "--force", action="store_true", help="displace a queued task if the queue is full"
        )
    command = add("stop", "stop tasks")
    command.add_argument("tasks", metavar="TASK_ID", nargs="+")
    command.add_argument("--wait", action="store_true", help="until they have ended")
    command = add("reset", "start errored tasks again")
    command.add_argument("tasks", metavar="TASK_ID", nargs="+")
    command = add("list", "show the server's tasks")
    command.add_argument(
        "--since", metavar="TIME", help="only those that started or ended since, and all queued"
    )
    command = add("wait", "wait for tasks to end, and exit as the first that failed did")
    command.add_argument("tasks", metavar="TASK_ID", nargs="+")
    command.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="and no longer (status 124)")
    command = add("tail", "show the last lines of tasks")
    command.add_argument("tasks", metavar="TASK_ID", nargs="*", help="default: all that run")
    command.add_argument("-f", "--follow", action="store_true", help="and what comes, until they end")
    command.add_argument(
        "-n", "--lines", type=_count, default=10, metavar="LINES", help="how many (10); the server stores 100"
    )
    command.add_argument("-t", "--timestamps", action="store_true", help="put the time in front")
    command = add("replay", "show what is stored of a task: its last 100 lines and exits")
    command.add_argument("task", metavar="TASK_ID")
    command.add_argument(
        "--since-seq", type=_count, metavar="SEQ", help="only what is after the line of this seq"
    )
    command.add_argument("--since", metavar="TIME", help="only what is of then or later")
    command.add_argument("-t", "--timestamps", action="store_true", help="put the time in front")
    command = add("events", "show everything that happens as JSON lines")
    command.add_argument("tasks", metavar="TASK_ID", nargs="*", help="default: all, also those to come")
    command = add("top", "show tasks and pools, live", "q leaves.")
    command.add_argument(
        "--interval", type=_seconds, default=2.0, metavar="SECONDS", help="between looks (2)"
    )
    command = add("actions", "show what can be started")
    command.add_argument("action", metavar="ACTION", nargs="?", default="", help="only this one, in full")
    for name, help in (
        ("pool", "show how full a pool is and who waits"),
        ("set-pool", "change a pool while it works"),
        ("purge", "empty a queue"),
        ("metrics", "show counters"),
    ):
        command = add(name, help)
        command.add_argument(
            "action",
            metavar="ACTION",
            nargs="?",
            default="",
            help="this action's; default: the whole server's",
        )
        if name == "metrics":
            command.add_argument("--task", default="", metavar="TASK_ID", help="of this task instead")
        if name == "set-pool":
            command.add_argument("--limit", type=_count, help="how many may run at once; 0: any number")
            command.add_argument("--queue-size", type=_count, help="how many may wait; 0: any number")
            command.add_argument(
                "--excess", choices=("stop", "requeue"), help="what becomes of those above a lowered limit"
            )
            command.add_argument(
                "--order",
                choices=("first", "last"),
                help="which of them go: the longest running, or the newest",
            )
            command.add_argument(
                "--grace", type=_seconds, help="seconds between SIGTERM and SIGKILL for them"
            )
    command = add("reload", "have the server read its configuration anew, without stopping a task")
    command.add_argument("--dry-run", action="store_true", help="only say what would change")
    add("check", "see whether the server is there and answers")
    command = add(
        "completion", "print a shell's completion script", 'For bash: eval "$(overseerctl completion bash)"'
    )
    command.add_argument("shell", choices=("bash", "zsh", "fish"))
    command = commands.add_parser("__complete", parents=[common])
    command.add_argument("words", nargs=argparse.REMAINDER)
    return parser, commands


def _common() -> Parser:
    """The options that stand before the command as well as after it."""
    common = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for name, metavar, text in (
        (
            "url",
            "URL",
            "the server: ws://HOST:PORT/ws, wss://..., http(s)://... or unix:PATH "
            f"(default: $OVERSEER_URL, else {DEFAULT_URL})",
        ),
        (
            "token",
            "TOKEN",
            "who you are; better set as $OVERSEER_TOKEN, for command lines can be seen by all",
        ),
        (
            "ca",
            "FILE",
            "certificates that a wss:// server's must come from (default: $OVERSEER_CA, else the system's)",
        ),
        ("cert", "FILE", "your own certificate, where the server asks for one (default: $OVERSEER_CERT)"),
        ("key", "FILE", "its key, if it is in another file (default: $OVERSEER_KEY)"),
    ):
        common.add_argument(f"--{name}", metavar=metavar, help=text)
    common.add_argument(
        "--reconnect", type=_seconds, metavar="SECONDS", help="how long a lost connection is tried again (30)"
    )
    common.add_argument("--color", choices=("auto", "always", "never"), help="auto: on a terminal")
    return common


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < 1e9:
        raise ValueError
    return seconds


_seconds.__name__ = "number of seconds"  # as argparse's error calls it


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError
    return count


_count.__name__ = "count"
