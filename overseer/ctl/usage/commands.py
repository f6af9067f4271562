"""Declaring commands, and what several of them take."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from textwrap import fill
from typing import Any

from overseer.ctl.exit_status import EXITS
from overseer.ctl.times import FORMS
from overseer.ctl.values import Once, count, nonempty, statuses

TASK = "TASK"
_WIDTH = 79
_EXITING = ("run", "wait", "attach")  # commands with the exit status of a task


class Commands:
    """The commands, in groups.

    Args:
        subparsers: where argparse has them.
        common: a parser of the options that all of them take.
    """

    def __init__(self, subparsers: Any, common: argparse.ArgumentParser) -> None:
        self._subparsers = subparsers
        self._common = common
        self.groups: dict[str, dict[str, str]] = {}  # the commands' help, by group and name
        self.aliases: dict[str, str] = {}

    def group(self, title: str) -> None:
        """What is added from now on belongs to this group."""
        self.groups[title] = {}

    def add(
        self, name: str, help: str, more: str = "", *examples: str, aliases: tuple[str, ...] = ()
    ) -> argparse.ArgumentParser:
        """A command; ``examples`` are what may follow ``overseerctl``."""
        next(reversed(self.groups.values()))[name] = help
        shown = "".join(f"  overseerctl {example}\n" for example in examples)
        ends = [f"examples:\n{shown}"] if examples else []
        if name in _EXITING:
            ends.append(EXITS)
        if aliases:
            ends.append(f"also: {', '.join(aliases)}")
        made: argparse.ArgumentParser = self._subparsers.add_parser(
            name,
            description=fill(f"{help[0].upper()}{help[1:]}. {more}".strip(), _WIDTH),
            epilog="\n".join(ends) or None,
            parents=[self._common],
        )
        flag(made, "--json", help="output for programs; also: -o json")
        made.add_argument("-o", "--output", dest="json", choices=("json",), help=argparse.SUPPRESS)
        for alias in aliases:
            self._subparsers.choices[alias] = made
            self.aliases[alias] = name
        return made


def flag(command: argparse._ActionsContainer, *names: str, help: str) -> None:
    command.add_argument(*names, action="store_true", help=help)


def of_action(command: argparse.ArgumentParser, help: str) -> None:
    command.add_argument("--action", action=Once, type=nonempty, metavar="ACTION", help=help)


def task(command: argparse.ArgumentParser, help: str = "its id, its beginning, or its name") -> None:
    command.add_argument("task", type=nonempty, metavar=TASK, help=help)


def tasks(command: argparse.ArgumentParser, nargs: str = "+", help: str = "") -> None:
    help = help or "an id, its beginning, or a name: 'build main'"
    command.add_argument("tasks", type=nonempty, metavar=TASK, nargs=nargs, help=help)


def chosen(command: argparse.ArgumentParser, all: str, verb: str) -> None:
    """Tasks by name, or all that have something in common."""
    tasks(command, "*")
    flag(command, "--all", help=all)
    filters(command, f"{verb} ")
    yes(command)


def filters(command: argparse.ArgumentParser, verb: str = "") -> None:
    of_action(command, f"{verb}only this action's tasks")
    command.add_argument(
        "--group",
        action=Once,
        type=nonempty,
        metavar="GROUP",
        help=f"{verb}only tasks of actions that the page shows under this heading",
    )
    command.add_argument(
        "--status",
        type=statuses,
        metavar="STATUS[,STATUS]",
        help=f"{verb}only tasks that are running, ready, queued, waiting, restarting, succeeded, failed, "
        "errored, stopped or lost",
    )


def yes(command: argparse.ArgumentParser) -> None:
    flag(command, "-y", "--yes", help="do not ask; needed where there is no terminal")


def times(command: argparse.ArgumentParser, **helps: str) -> None:
    """--since, and --until, as in journalctl."""
    for name, help in helps.items():
        command.add_argument(f"-{name[0].upper()}", f"--{name}", metavar="TIME", help=f"{help}; like {FORMS}")


def limit(command: argparse.ArgumentParser, default: int, type: Callable[[str], int]) -> None:
    command.add_argument(
        "-n",
        "--limit",
        type=type,
        default=default,
        metavar="COUNT",
        help=f"at most this many ({default}); 0, all: no limit",
    )


def paging(command: argparse.ArgumentParser) -> None:
    """What is long is shown in a pager."""
    flag(command, "--no-pager", help="print it, without a pager ($OVERSEER_PAGER, $PAGER or less)")


def timestamps(command: argparse.ArgumentParser) -> None:
    flag(command, "-t", "--timestamps", help="show when each line was written")


def matching(command: argparse.ArgumentParser) -> None:
    """How something is looked for, and what is shown around it, as grep has it."""
    flag(command, "-i", "--ignore-case", help="ignore case")
    for letter, name, where in (
        ("A", "after-context", "after"),
        ("B", "before-context", "before"),
        ("C", "context", "around"),
    ):
        command.add_argument(
            f"-{letter}",
            f"--{name}",
            type=count,
            default=0,
            metavar="LINES",
            help=f"also this many lines {where} each",
        )
