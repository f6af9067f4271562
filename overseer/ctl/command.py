"""The command line of overseerctl."""

from __future__ import annotations

import argparse
import os
import ssl
from collections.abc import Sequence

from overseer.client.address import DEFAULT_URL, parse_url
from overseer.ctl.link import CannotConnectError, Link, LinkLostError
from overseer.ctl.listing import fetch_tasks, show_tasks
from overseer.ctl.run import EXIT_INTERRUPTED, EXIT_LOST, EXIT_REFUSED, run
from overseer.ctl.terminal import print_text, say
from overseer.errors import OverseerError
from overseer.timestamps import now

__all__ = ["main"]

_EXITS = """\
exit status:
  the task's own; 128 + the signal's number when a signal ended it
  1    the server refused, or took the task out of its queue
  2    wrong usage
  125  no connection, or none any more: how the task ended is not known
  130  left by a second Ctrl-C, or stopped before it ran
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run overseerctl with these arguments (default: the process's) and return its exit status."""
    parser = _parser()
    options, extra = parser.parse_known_args(argv)
    # argparse takes KEY=VALUE in one block only; those after an option are as good.
    if wrong := [text for text in extra if options.command != "run" or text.startswith("-")]:
        parser.error(f"unknown argument: {wrong[0]}")
    url = _setting(options, "url") or DEFAULT_URL
    try:
        address = parse_url(url)
        token = _token(_setting(options, "token"))
        tls = _tls(_setting(options, "ca"), _setting(options, "cert"), _setting(options, "key"))
        if options.command == "run":
            params = _params([*options.params, *extra])
    except OverseerError as error:
        parser.error(str(error))
    try:
        with Link(address, token, tls) as link:
            if options.command == "run":
                return run(link, options.action, params, options.id, options.force)
            tasks = fetch_tasks(link)
    except (CannotConnectError, LinkLostError) as error:
        say(str(error))
        return EXIT_LOST
    except OverseerError as error:
        say(str(error))
        return EXIT_REFUSED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    if text := show_tasks(tasks, now(), as_json=options.json):
        print_text(text)
    else:
        say("no tasks")
    return 0


def _parser() -> argparse.ArgumentParser:
    connection = argparse.ArgumentParser(add_help=False)
    connection.add_argument(
        "--url",
        default=argparse.SUPPRESS,  # so that it may stand before the command as well as after
        help=f"the server: ws://HOST:PORT/ws, wss://..., http(s)://... or unix:PATH "
        f"(default: $OVERSEER_URL, else {DEFAULT_URL})",
    )
    for name, metavar, text in (
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
        connection.add_argument(f"--{name}", metavar=metavar, default=argparse.SUPPRESS, help=text)
    parser = argparse.ArgumentParser(
        prog="overseerctl",
        description="Talks to a running sticky-overseer.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[connection],
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "run",
        help="start a task, show its output and exit with its exit code",
        description="Start a task on the server, show its output as it comes, and exit with its exit code. "
        "Ctrl-C stops the task.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[connection],
        allow_abbrev=False,
    )
    command.add_argument("action", metavar="ACTION", help="an action of the server's config")
    command.add_argument("params", metavar="KEY=VALUE", nargs="*", help="a parameter of the action")
    command.add_argument("--id", default="", metavar="TASK_ID", help="the task's id (default: a random one)")
    command.add_argument("--force", action="store_true", help="displace a queued task if the queue is full")
    command = commands.add_parser(
        "list",
        help="show the server's tasks",
        description="Show the server's tasks.",
        parents=[connection],
        allow_abbrev=False,
    )
    command.add_argument("--json", action="store_true", help="as the server says it, a JSON array")
    return parser


def _setting(options: argparse.Namespace, name: str) -> str:
    """What an option says or, without it, its variable; "" for neither."""
    given = getattr(options, name, None)
    return given if given is not None else os.environ.get(f"OVERSEER_{name.upper()}", "")


def _token(text: str) -> str:
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise OverseerError("the token holds characters that no token has (blanks, or other than ASCII)")
    return text


def _tls(ca: str, cert: str, key: str) -> ssl.SSLContext | None:
    """What to trust and to present; None: the system's certificates and nothing."""
    if not ca and not cert:
        return None
    file = ca
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if cert:
            file = cert
            context.load_cert_chain(cert, key or None)
    except OSError as error:
        raise OverseerError(f"cannot use {file}: {error.strerror or error}") from None
    return context


def _params(pairs: Sequence[str]) -> dict[str, str]:
    params: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise OverseerError(f"a parameter is written KEY=VALUE, not {pair!r}")
        if name in params:
            raise OverseerError(f"the parameter {name!r} is given twice")
        params[name] = value
    return params
