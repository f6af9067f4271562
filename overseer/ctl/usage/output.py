"""The commands that show output."""

from __future__ import annotations

import argparse

from overseer.ctl.usage.commands import (
    TASK,
    Commands,
    flag,
    limit,
    matching,
    of_action,
    paging,
    task,
    tasks,
    times,
    timestamps,
)
from overseer.ctl.values import count, last, most, nonempty


def add_output(commands: Commands) -> None:
    commands.group("See their output")
    command = commands.add(
        "logs",
        "show the logs of tasks, even of those that the server has forgotten",
        "What one task wrote to stderr goes to stderr. The lines of several are merged by their times, each "
        "with its task in front. A server without a data_dir has only the last 100 lines of each task.",
        "logs web -f",
        "logs web -e",
        "logs web --since 1h -C 2 --grep 'timeout|refused'",
        "logs web db --tail 20 -f",
        "logs --action build --since yesterday",
        aliases=("log",),
    )
    tasks(command, "*")
    of_action(command, "all tasks of this action")
    flag(command, "-f", "--follow", help="keep showing new lines until the tasks end")
    command.add_argument(
        "-n", "--tail", type=last, metavar="LINES", help="only the last LINES lines of each, or all"
    )
    command.add_argument("--lines", dest="tail", type=last, help=argparse.SUPPRESS)  # as in journalctl
    flag(command, "-e", "--pager-end", help="open the pager at the end; without -n, of the last 1000 lines")
    flag(command, "-r", "--reverse", help="the newest lines first")
    times(command, since="only from this time on", until="only until this time")
    command.add_argument(
        "--run",
        type=nonempty,
        metavar="RUN",
        help="only lines of this run: its number in the history or id",
    )
    command.add_argument("--stream", choices=("stdout", "stderr"), help="only lines of this stream")
    command.add_argument(
        "-g",
        "--grep",
        type=nonempty,
        metavar="PATTERN",
        help="only lines in which this regular expression is found; status 1 if there are none",
    )
    matching(command)
    timestamps(command)
    paging(command)
    command = commands.add("tail", "show the last lines of tasks", "", "tail -f", "tail web -n 50")
    tasks(command, "*", "default: all running tasks")
    flag(command, "-f", "--follow", help="follow them until they end")
    command.add_argument(
        "-n", "--lines", type=count, default=10, metavar="LINES", help="how many (10); at most 100 are stored"
    )
    timestamps(command)
    command = commands.add(
        "search",
        "search the logs of all tasks",
        "Shows matching lines, the oldest first; if there are more than -n, the latest. Status 1 if "
        "there are none. On a terminal, times are local. The server needs a data_dir.",
        'search "connection refused" --since 1d --action web',
    )
    command.add_argument("query", type=nonempty, metavar="TEXT", help="the text to find")
    flag(command, "-e", "-E", "--regex", help="TEXT is a regular expression, in Python's syntax")
    matching(command)
    command.add_argument("--task", type=nonempty, metavar=TASK, help="only in this task's log")
    of_action(command, "only in lines of this action's runs")
    times(command, since="only from this time on", until="only until this time")
    limit(command, 100, most)
    paging(command)
    command = commands.add("replay", "show what is stored of a task: its last 100 lines and exits")
    task(command)
    command.add_argument(
        "--since-seq", type=count, metavar="SEQ", help="only what follows the line with this seq"
    )
    times(command, since="only from this time on")
    timestamps(command)
