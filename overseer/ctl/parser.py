"""overseerctl's commands and options."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any, NoReturn

from overseer import __version__
from overseer.client import DEFAULT_URL
from overseer.ctl.exit_status import EXITS
from overseer.ctl.terminal import say, write_out
from overseer.ctl.usage import output, server, tasks
from overseer.ctl.usage.commands import TASK, Commands
from overseer.ctl.values import nonempty, seconds
from overseer.protocol import utf8
from overseer.util.suggest import did_you_mean

# Other programs' names for commands.
_ALSO = {
    "add": "start",
    "cancel": "stop",
    "clean": "rm",
    "config": "describe",
    "delete": "rm",
    "down": "stop --all",
    "enqueue": "start",
    "exec": "attach",
    "fg": "attach",
    "follow": "logs -f",
    "get": "list",
    "grep": "search",
    "inspect": "list --json",
    "journal": "logs",
    "kill": "stop",
    "monit": "top",
    "parallel": "set-pool",
    "send": "input",
    "status": "list",
    "switch": "move",
    "trigger": "start",
    "up": "start",
    "watch": "events",
}
# Other programs' names for options, where a command has what they do.
_ALSO_OPTIONS = {
    "--from": "--since",
    "--lines": "--limit",
    "--max-count": "--limit",
    "--name": "--id",
    "--no-color": "--color never",
    "--no-tail": "--tail all",
    "--tail": "--lines",
    "--to": "--until",
    "--unit": TASK,
    "-m": "--limit",
    "-u": TASK,
}
_COMMON = "for every command"
_SERVER = ("url", "token", "ca", "cert", "key", "reconnect", "color")  # options of all commands


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """Show a command's own options only: the common ones would bury them."""
        super().add_usage(usage, [each for each in actions if each.dest not in _SERVER], groups, prefix)


class Parser(argparse.ArgumentParser):
    """argparse's parser, with overseerctl's errors."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **options)
        self._negative_number_matcher = re.compile(r"-\d")  # also as in journalctl: --since -1h

    def format_help(self) -> str:
        """A command's own options and its examples come before the options of every command."""
        parts = [self._get_formatter() for _ in range(2)]
        own, common = parts
        own.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        own.add_text(self.description)
        for group in self._action_groups:
            part = common if group.title == _COMMON else own
            part.start_section(group.title)
            part.add_text(group.description)
            part.add_arguments(group._group_actions)
            part.end_section()
        own.add_text(self.epilog)
        return "\n".join(filter(None, (part.format_help() for part in parts)))

    def error(self, message: str) -> NoReturn:
        """One line, and status 2."""
        say(f"{message}{' See' if message.endswith('?') else '; see'} {self.prog} --help")
        sys.exit(2)

    def refuse(self, word: str, takes_params: bool) -> NoReturn:
        """Report an unexpected argument."""
        if not word.startswith("-"):
            self.error(f"unexpected argument {word}")
        option, _, value = word.partition("=")
        name = option.lstrip("-")
        options = [each.removeprefix("--") for each in self._option_string_actions if each.startswith("--")]
        near = self._also(option) or did_you_mean(name, options, prefix="--")
        if takes_params and not near and name:
            near = f"; a parameter of the action is written {name}={value or 'VALUE'}"
        self.error(f"unknown option {option}{near}")

    def _also(self, option: str) -> str:
        """What another program's option is here, if anything."""
        meant = _ALSO_OPTIONS.get(option, "")
        if meant == TASK and any(each.metavar == TASK for each in self._get_positional_actions()):
            return f"; did you mean {self.prog} {TASK}?"
        return f"; did you mean {meant}?" if meant.partition(" ")[0] in self._option_string_actions else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            names = [name for name in action.choices or () if not name.startswith("_")]
            also = f"; did you mean {_ALSO[value]}?" if value in _ALSO else did_you_mean(value, names)
            self.error(f"unknown command {value}{also}")
        super()._check_value(action, value)

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print help; argparse would ignore that stdout cannot be written."""
        write_out(utf8(message), "stderr" if file is sys.stderr else "stdout")


class _Top(Parser):
    """The parser of the whole line; its help shows the commands in groups."""

    commands: Commands

    def format_help(self) -> str:
        size = max(len(name) for group in self.commands.groups.values() for name in group)
        parts = [f"{self.description}\n", "usage: overseerctl COMMAND [ARGUMENTS] [OPTIONS]\n"]
        for title, group in self.commands.groups.items():
            lines = "".join(f"  {name:<{size}}  {help}\n" for name, help in group.items())
            parts.append(f"{title}:\n{lines}")
        options = self._get_formatter()
        for section in self._action_groups[1:]:
            options.start_section(section.title)
            options.add_text(section.description)
            options.add_arguments(
                each for each in section._group_actions if not isinstance(each, argparse._SubParsersAction)
            )
            options.end_section()
        return "\n".join([*parts, options.format_help(), self.epilog or ""])


def make_parser() -> tuple[argparse.ArgumentParser, argparse.Action, Commands]:
    """The parser, its action that holds the commands, and what is known of them."""
    common = _common()
    parser = _Top(
        prog="overseerctl",
        description="Work with a running sticky-overseer: start, watch and stop its tasks.",
        epilog=f"{EXITS}\nMore about a command, with examples: overseerctl COMMAND --help\n"
        "Ids may be shortened to a unique beginning. Completion: overseerctl completion bash|zsh|fish\n",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"overseerctl {__version__}")
    subparsers: Any = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=Parser
    )
    parser.commands = commands = Commands(subparsers, common)
    for add in (
        tasks.add_starting,
        tasks.add_showing,
        output.add_output,
        tasks.add_talking,
        server.add_standing,
        server.add_server,
        server.add_own,
    ):
        add(commands)
    command = subparsers.add_parser("help", parents=[common])
    command.add_argument("about", metavar="COMMAND", nargs="?", default="")
    command = subparsers.add_parser("__complete", parents=[common])
    command.add_argument("words", nargs=argparse.REMAINDER)
    return parser, subparsers, commands


def _common() -> Parser:
    """The options that may come before the command as well as after it."""
    parent = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common = parent.add_argument_group(
        _COMMON,
        "Defaults come from the environment variables named here, then from ~/.config/overseerctl.yaml.\n"
        "An empty variable counts as not set.",
    )
    for name, metavar, text in (
        (
            "url",
            "URL",
            "the server: ws://HOST:PORT/ws, wss://..., http(s)://... or unix:PATH "
            f"(default: $OVERSEER_URL, ~/.config/overseerctl.yaml, else {DEFAULT_URL})",
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
