"""The command line of overseerctl."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module

from overseer.client import Client, RefusedError
from overseer.ctl.asking import EarlyExit
from overseer.ctl.exit_status import EXIT_LOST, EXIT_REFUSED, EXIT_USAGE
from overseer.ctl.finding import find_task, refusal
from overseer.ctl.pager import paged
from overseer.ctl.parser import Parser, make_parser
from overseer.ctl.settings import Settings
from overseer.ctl.starting import how_to_write
from overseer.ctl.terminal import OutputError, print_lines, print_text, say
from overseer.ctl.times import moment_of
from overseer.ctl.usage.commands import Commands
from overseer.errors import OverseerError
from overseer.util.timestamps import now


def main(argv: Sequence[str] | None = None) -> int:
    """Run overseerctl with these arguments (default: the process's) and return its exit status."""
    try:
        return _main(argv)
    except OutputError as error:
        if error.gone:
            return 0
        say(str(error))
        return EXIT_REFUSED


def _main(argv: Sequence[str] | None) -> int:
    parser, commands, known = make_parser()
    options, extra = parser.parse_known_args(argv)
    if options.command == "help":
        parser.parse_args([*([options.about] if options.about else []), "--help"])
    options.command = known.aliases.get(options.command, options.command)
    choices: dict[str, Parser] = dict(commands.choices or {})
    command = choices[options.command]
    # argparse takes KEY=VALUE, and words, in one block only; accept those after an option too.
    takes_params = options.command in ("run", "start")
    takes_more = takes_params or options.command == "input"
    if wrong := [text for text in extra if not takes_more or text.startswith("-")]:
        command.refuse(wrong[0], takes_params)
    if options.command == "input":
        options.text += extra
    if options.command == "__complete":
        from overseer.ctl.completion import server_of

        vars(options).update(server_of(options.words))
    try:
        settings = Settings(options)
    except OverseerError as error:
        if options.command != "__complete":
            say(str(error))
            return EXIT_USAGE
        return 0
    try:
        if takes_params:
            options.params = _params([*options.params, *extra], options.action, settings)
        for moment in ("since", "until"):
            if getattr(options, moment, None) is not None:
                setattr(options, moment, moment_of(getattr(options, moment), now()))
    except OverseerError as error:
        command.error(str(error))
    since, until = (getattr(options, moment, None) for moment in ("since", "until"))
    if since and until and until < since:
        command.error("--until is before --since")
    options.environment = settings.environment
    try:
        if options.command == "completion":
            from overseer.ctl.completion import SCRIPTS

            print_text(SCRIPTS[options.shell])
            return 0
        if options.command == "__complete":
            return _complete(settings, options.words, known, commands, parser)
        if options.command == "run":
            from overseer.ctl.run import run, run_interactive

            if options.interactive or options.tty:
                return run_interactive(settings, options)
            return run(settings, options)
        with paged(options), settings.connect() as client:
            if options.command in _ABOUT_ONE:
                options.task = find_task(client, options.task)
            return _function(options.command)(client, options)
    except OutputError:
        raise
    except EarlyExit as error:
        return error.status
    except RefusedError as error:
        about = {name: getattr(options, name, None) or "" for name in ("task", "action")}
        say(refusal(error, about["task"], about["action"]))
        return EXIT_REFUSED
    except OverseerError as error:
        say(str(error))
        return EXIT_LOST


def _params(pairs: Sequence[str], action: str, settings: Settings) -> dict[str, str]:
    params: dict[str, str] = {}
    for pair in pairs:
        try:
            pair.encode()
        except UnicodeEncodeError:
            raise OverseerError(f"a parameter must be UTF-8, which {pair!a} is not") from None
        name, equals, value = pair.partition("=")
        if not equals or not name:
            hint = how_to_write(settings, action, pair)
            raise OverseerError(f"a parameter is written KEY=VALUE, not {pair!r}{hint}")
        if name in params:
            raise OverseerError(f"the parameter {name!r} is given twice")
        params[name] = value
    return params


def _complete(
    settings: Settings,
    words: Sequence[str],
    known: Commands,
    commands: argparse.Action,
    parser: argparse.ArgumentParser,
) -> int:
    from overseer.ctl.completion import candidates

    def connect() -> Client:
        return settings.connect(timeout=1.0, reconnect=0)

    given = words[1:] if words[:1] == ["--"] else words
    print_lines(candidates(given, known, commands, parser, connect))
    return 0


_ABOUT_ONE = ("input", "attach", "replay")  # task of the server
# Each command's module and function, loaded only for the command given: every command is a new process, whose
# start-up time is felt.
_COMMANDS = {
    "start": "tasks.start",
    "stop": "tasks.stop",
    "restart": "tasks.restart",
    "signal": "tasks.signal",
    "input": "feeding.give_input",
    "attach": "attach.attach",
    "reset": "tasks.reset",
    "rm": "tasks.forget",
    "list": "tasks.list_tasks",
    "history": "history.history",
    "wait": "tasks.wait",
    "tail": "tail.tail",
    "logs": "logs.logs",
    "search": "search.search",
    "replay": "tail.replay",
    "events": "events.events",
    "top": "top.top",
    "actions": "server.actions",
    "describe": "server.actions",
    "graph": "graph.graph",
    "cluster": "cluster.cluster",
    "schedules": "schedules.schedules",
    "pause": "schedules.pause",
    "resume": "schedules.resume",
    "pool": "server.pool",
    "move": "moving.move",
    "set-pool": "server.set_pool",
    "purge": "server.purge",
    "metrics": "server.metrics",
    "reload": "server.reload",
    "upgrade": "server.upgrade",
    "notify": "server.notify",
    "check": "server.check",
}


def _function(command: str) -> Callable[[Client, argparse.Namespace], int]:
    module, _, name = _COMMANDS[command].partition(".")
    found: Callable[[Client, argparse.Namespace], int] = getattr(
        import_module(f"overseer.ctl.{module}"), name
    )
    return found
