"""overseerctl's commands and options."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from overseer import __version__
from overseer.client import DEFAULT_URL
from overseer.ctl.moments import FORMS
from overseer.ctl.status import EXITS
from overseer.ctl.terminal import say, write_out
from overseer.ctl.values import count, last, most, nonempty, seconds, signal_name
from overseer.protocol import EXIT_REASON, RUN_STATUS, utf8
from overseer.util.suggest import did_you_mean

# Other programs' names for commands.
_ALSO = {
    "runs": "history",
    "log": "logs",
    "grep": "search",
    "ps": "list",
    "ls": "list",
    "status": "list",
    "kill": "stop",
}
_SERVER = ("url", "token", "ca", "cert", "key", "reconnect", "color")  # options of all commands


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """Show a command's own options only: the common ones would bury them."""
        super().add_usage(usage, [each for each in actions if each.dest not in _SERVER], groups, prefix)


class Parser(argparse.ArgumentParser):
    """argparse's parser, with overseerctl's errors."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """One line, and status 2."""
        say(f"{message}{' See' if message.endswith('?') else '; see'} {self.prog} --help")
        sys.exit(2)

    def refuse(self, word: str, takes_params: bool) -> NoReturn:
        """Report an unexpected argument."""
        if not word.startswith("-"):
            self.error(f"{word} is an argument too many")
        option, _, value = word.partition("=")
        name = option.lstrip("-")
        options = [each.removeprefix("--") for each in self._option_string_actions if each.startswith("--")]
        near = did_you_mean(name, options, prefix="--")
        if takes_params and not near and name:
            near = f"; a parameter of the action is written {name}={value or 'VALUE'}"
        self.error(f"unknown option {option}{near}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            names = [name for name in action.choices if not name.startswith("_")]
            also = f"; did you mean {_ALSO[value]}?" if value in _ALSO else did_you_mean(value, names)
            self.error(f"unknown command {value}{also}")
        super()._check_value(action, value)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help; argparse would ignore that stdout cannot be written."""
        write_out(utf8(message), "stderr" if file is sys.stderr else "stdout")


def make_parser() -> tuple[argparse.ArgumentParser, argparse.Action]:
    """The parser, and its action that holds the commands."""
    common = _common()
    parser = Parser(
        prog="overseerctl",
        description="Talks to a running sticky-overseer.",
        epilog=f"{EXITS}\nEach command has its own --help.\nCompletion: overseerctl completion bash|zsh|fish",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"overseerctl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, help: str, more: str = "") -> argparse.ArgumentParser:
        description = f"{help[0].upper()}{help[1:]}. {more}".strip()
        made = commands.add_parser(
            name,
            help=help,
            description=description,
            epilog=EXITS if name in ("run", "wait", "attach") else None,
            parents=[common],
        )
        made.add_argument("--json", action="store_true", help="output for programs")
        return made

    for name, help, more in (
        ("run", "start a task, show its output and exit with its exit code", "Ctrl-C stops the task."),
        ("start", "start a task and print its id", ""),
    ):
        command = add(name, help, more)
        of = "an action of the server" + (", or one of its standing tasks" if name == "start" else "")
        command.add_argument("action", type=nonempty, metavar="ACTION", help=of)
        command.add_argument(
            "params",
            metavar="KEY=VALUE",
            nargs="*",
            default=[],
            help="a parameter of the action; KEY= makes it empty",
        )
        command.add_argument(
            "--id", type=nonempty, metavar="TASK_ID", help="the task's id (default: a random one)"
        )
        command.add_argument(
            "--force", action="store_true", help="displace a queued task if the queue is full"
        )
        if name == "run":
            command.add_argument(
                "-i",
                "--interactive",
                action="store_true",
                help="pass stdin on to the task",
            )
            command.add_argument(
                "-t", "--tty", action="store_true", help="attach this terminal to the task's, as attach does"
            )
    command = add("stop", "stop tasks")
    command.add_argument("tasks", type=nonempty, metavar="TASK_ID", nargs="+")
    command.add_argument("--wait", action="store_true", help="wait until they have ended")
    command = add("restart", "stop tasks and start them again", "It waits until they have started.")
    command.add_argument("tasks", type=nonempty, metavar="TASK_ID", nargs="+")
    about = "For example: overseerctl signal HUP web"
    command = add("signal", "send a signal to tasks' process groups", about)
    command.add_argument(
        "signal", type=signal_name, metavar="SIGNAL", help="its name (HUP, SIGHUP) or number"
    )
    command.add_argument("tasks", type=nonempty, metavar="TASK_ID", nargs="+")
    command = add(
        "input",
        "send input to a running task",
        "The words of TEXT make one line. A file is sent as fast as the task reads it.",
    )
    command.add_argument("task", type=nonempty, metavar="TASK_ID")
    command.add_argument("text", metavar="TEXT", nargs="*")
    command.add_argument("-n", "--no-newline", action="store_true", help="no line end after TEXT")
    command.add_argument("--file", metavar="FILE", help="send a file's content; -: stdin's")
    command.add_argument("--eof", action="store_true", help="then end the input; on a terminal: Ctrl-D")
    command = add(
        "attach",
        "attach this terminal to a running task",
        "All keys go to the task, even Ctrl-C; Ctrl-P Ctrl-Q detaches. A task that reads a pipe is shown as "
        "with tail -f, and sent whole lines; Ctrl-D ends its input, and Ctrl-C detaches.",
    )
    command.add_argument("task", type=nonempty, metavar="TASK_ID")
    command = add("reset", "start errored tasks again")
    command.add_argument("tasks", type=nonempty, metavar="TASK_ID", nargs="+")
    command = add("list", "show the server's tasks")
    _times(command, since="only tasks started or ended since then, and queued ones")
    command.add_argument(
        "--limit", type=count, default=0, metavar="COUNT", help="at most this many, ordered by id (all)"
    )
    command.add_argument("--after", default="", metavar="TASK_ID", help="only those with greater ids")
    command = add(
        "history",
        "show current and earlier runs, the newest first",
        "For the output of one: overseerctl logs TASK_ID --run RUN",
    )
    command.add_argument("task", type=nonempty, metavar="TASK_ID", nargs="?", help="only this task's")
    command.add_argument("--action", type=nonempty, metavar="ACTION", help="only this action's")
    command.add_argument("--state", "--status", choices=RUN_STATUS.words, help="only those with this status")
    command.add_argument("--reason", choices=EXIT_REASON.words, help="only those that ended for this reason")
    _times(command, since="only those started since then", until="only those started before then")
    command.add_argument(
        "-n",
        "--limit",
        type=most,
        default=20,
        metavar="COUNT",
        help="at most this many (20); 0, all: no limit",
    )
    command = add("wait", "wait for tasks to end, and exit with the status of the first that failed")
    command.add_argument("tasks", type=nonempty, metavar="TASK_ID", nargs="+")
    command.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="at most this long, such as 90 or 1m30s (status 124)",
    )
    command = add("tail", "show the last lines of tasks")
    command.add_argument(
        "tasks", type=nonempty, metavar="TASK_ID", nargs="*", help="default: all running tasks"
    )
    command.add_argument("-f", "--follow", action="store_true", help="follow them until they end")
    command.add_argument(
        "-n", "--lines", type=count, default=10, metavar="LINES", help="how many (10); the server stores 100"
    )
    command.add_argument("-t", "--timestamps", action="store_true", help="put the time in front")
    command = add(
        "logs",
        "show a task's log, even if the server has forgotten the task",
        "What the task wrote to stderr goes to stderr. A unique beginning of an id will do. The server needs "
        "a data_dir.",
    )
    command.add_argument("task", type=nonempty, metavar="TASK_ID")
    command.add_argument("-f", "--follow", action="store_true", help="and follow it until the task ends")
    command.add_argument("-n", "--tail", type=last, metavar="LINES", help="only the last LINES lines, or all")
    _times(command, since="only from this time on", until="only until this time")
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
    _matching(command)
    command.add_argument("-t", "--timestamps", action="store_true", help="put the time in front")
    command = add(
        "search",
        "search the logs of all tasks",
        "Matching lines, the oldest first; of more than -n, those from the newest parts of the logs. Status "
        "1 if there are none. On a terminal, times are local. The server needs a data_dir.",
    )
    command.add_argument("query", type=nonempty, metavar="TEXT", help="the text to find")
    command.add_argument(
        "-e", "-E", "--regex", action="store_true", help="TEXT is a regular expression, in Python's syntax"
    )
    _matching(command)
    command.add_argument("--task", type=nonempty, metavar="TASK_ID", help="only in this task's log")
    command.add_argument(
        "--action", type=nonempty, metavar="ACTION", help="only in lines of this action's runs"
    )
    _times(command, since="only from this time on", until="only until this time")
    command.add_argument(
        "-n",
        "--limit",
        type=most,
        default=100,
        metavar="COUNT",
        help="at most this many (100); 0, all: no limit",
    )
    command = add("replay", "show what is stored of a task: its last 100 lines and exits")
    command.add_argument("task", type=nonempty, metavar="TASK_ID")
    command.add_argument(
        "--since-seq", type=count, metavar="SEQ", help="only what follows the line with this seq"
    )
    _times(command, since="only from this time on")
    command.add_argument("-t", "--timestamps", action="store_true", help="put the time in front")
    command = add("events", "show everything that happens as JSON lines")
    command.add_argument(
        "tasks", type=nonempty, metavar="TASK_ID", nargs="*", help="default: all, present and future"
    )
    command = add("top", "show tasks and pools, live", "q quits.")
    command.add_argument(
        "--interval", type=seconds, default=2.0, metavar="SECONDS", help="between updates (2)"
    )
    command.add_argument(
        "--sort",
        choices=("time", "cpu", "memory"),
        default="time",
        help="order of running tasks: the newest (time, the default) or the greediest first",
    )
    add("graph", "show the standing tasks, and what each of them waits for")
    command = add(
        "schedules",
        "show when standing tasks start next, and which starts were skipped",
        "Times are local. Of one task all is shown: its next times, and each skipped one with the reason.",
    )
    command.add_argument("task", type=nonempty, metavar="TASK_ID", nargs="?", help="only this task's")
    command.add_argument(
        "-n", "--next", type=count, metavar="COUNT", help="the next COUNT starts, at most 100 of each task"
    )
    for name, help in (
        ("pause", "keep schedules from starting tasks"),
        ("resume", "let schedules start paused tasks again"),
    ):
        command = add(name, help)
        command.add_argument("tasks", type=nonempty, metavar="TASK_ID", nargs="+")
    command = add("actions", "show what can be started")
    command.add_argument("action", type=nonempty, metavar="ACTION", nargs="?", help="only this one, in full")
    command = add("describe", "explain an action and its parameters")
    command.add_argument("action", type=nonempty, metavar="ACTION", help="an action of the server's config")
    for name, help in (
        ("pool", "show how full a pool is and which tasks are queued"),
        ("set-pool", "change a pool at runtime"),
        ("purge", "empty a queue"),
        ("metrics", "show counters"),
    ):
        command = add(name, help)
        of_action = "of this action" if name == "purge" else "of this action; default: of the whole server"
        # Emptying every queue must be asked for explicitly.
        group = command.add_mutually_exclusive_group(required=True) if name == "purge" else command
        group.add_argument("action", type=nonempty, metavar="ACTION", nargs="?", help=of_action)
        if name == "purge":
            group.add_argument("--all", action="store_true", help="every queue of the server")
        if name == "metrics":
            command.add_argument("--task", type=nonempty, metavar="TASK_ID", help="of this task instead")
        if name == "set-pool":
            command.add_argument("--limit", type=count, help="how many may run at once; 0: unlimited")
            command.add_argument("--queue-size", type=count, help="how many may wait; 0: unlimited")
            command.add_argument(
                "--excess", choices=("stop", "requeue"), help="what happens to tasks above a lowered limit"
            )
            command.add_argument(
                "--order",
                choices=("first", "last"),
                help="which of them first: the longest running or the newest",
            )
            command.add_argument("--grace", type=seconds, help="seconds between SIGTERM and SIGKILL")
    command = add("reload", "reload the server's configuration, without stopping a task")
    command.add_argument("--dry-run", action="store_true", help="only say what would change")
    command = add("upgrade", "have the server become the program that is installed now; tasks go on")
    command.add_argument("--check", action="store_true", help="only try whether it can; nothing changes")
    command.add_argument("--force", action="store_true", help="end what cannot go on: functions and services")
    command = add("notify", "send a test notice")
    command.add_argument("what", choices=("test",), help="send a channel a notice that is a test")
    command.add_argument("channel", type=nonempty, metavar="CHANNEL", help="its name in the server's config")
    add("check", "check that the server answers")
    command = add(
        "completion", "print a shell's completion script", 'For bash: eval "$(overseerctl completion bash)"'
    )
    command.add_argument("shell", choices=("bash", "zsh", "fish"))
    command = commands.add_parser("help", help="show a command's help", parents=[common])
    command.add_argument("about", metavar="COMMAND", nargs="?", default="")
    command = commands.add_parser("__complete", parents=[common])
    command.add_argument("words", nargs=argparse.REMAINDER)
    return parser, commands


def _times(command: argparse.ArgumentParser, **helps: str) -> None:
    """--since, and --until, as in journalctl."""
    for name, help in helps.items():
        command.add_argument(f"-{name[0].upper()}", f"--{name}", metavar="TIME", help=f"{help}; like {FORMS}")


def _matching(command: argparse.ArgumentParser) -> None:
    """How something is looked for, and what is shown around it, as grep has it."""
    command.add_argument("-i", "--ignore-case", action="store_true", help="ignore case")
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


def _common() -> Parser:
    """The options that may come before the command as well as after it."""
    parent = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common = parent.add_argument_group("for every command", "An empty variable counts as not set.")
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
            "your token; $OVERSEER_TOKEN is safer, since anyone can see command lines",
        ),
        (
            "ca",
            "FILE",
            "certificate authorities to trust for wss:// (default: $OVERSEER_CA, else the system's)",
        ),
        ("cert", "FILE", "your client certificate, if the server asks for one (default: $OVERSEER_CERT)"),
        ("key", "FILE", "its key, if in a separate file (default: $OVERSEER_KEY)"),
    ):
        common.add_argument(f"--{name}", type=nonempty, metavar=metavar, help=text)
    common.add_argument(
        "--reconnect", type=seconds, metavar="SECONDS", help="how long to keep trying to reconnect (30)"
    )
    common.add_argument("--color", choices=("auto", "always", "never"), help="auto: on a terminal")
    return parent
