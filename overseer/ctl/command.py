"""The command line of overseerctl."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from overseer.client import Client, ClientError, RefusedError, ReplyTimeoutError, Task, TaskNotRunError
from overseer.ctl.hints import how_to_write, look_at_action
from overseer.ctl.listing import action_lines, actions_table, pool_lines, tasks_table
from overseer.ctl.parser import Parser, make_parser
from overseer.ctl.run import refusal, run
from overseer.ctl.settings import Settings
from overseer.ctl.status import EXIT_LOST, EXIT_REFUSED, EXIT_TIMEOUT, EXIT_USAGE, of_exit
from overseer.ctl.terminal import (
    OutputError,
    Progress,
    Style,
    plain,
    print_json,
    print_text,
    room,
    say,
)
from overseer.errors import OverseerError
from overseer.protocol import to_plain
from overseer.util.durations import parse_duration
from overseer.util.timestamps import now, parse_timestamp

Options = argparse.Namespace
_T = TypeVar("_T")


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
    parser, commands = make_parser()
    options, extra = parser.parse_known_args(argv)
    if options.command == "help":
        parser.parse_args([*([options.about] if options.about else []), "--help"])
    choices: dict[str, Parser] = dict(commands.choices or {})
    command = choices[options.command]
    # argparse takes KEY=VALUE in one block only; those after an option are as good.
    takes_params = options.command in ("run", "start")
    if wrong := [text for text in extra if not takes_params or text.startswith("-")]:
        command.refuse(wrong[0], takes_params)
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
        if getattr(options, "since", None) is not None:
            options.since = _time(options.since)
    except OverseerError as error:
        command.error(str(error))
    try:
        if options.command == "completion":
            from overseer.ctl.completion import SCRIPTS

            print_text(SCRIPTS[options.shell])
            return 0
        if options.command == "__complete":
            return _complete(settings, options.words, commands, parser)
        if options.command == "run":
            return run(settings, options.action, options.params, options.id, options.force, options.json)
        with settings.connect() as client:
            return _COMMANDS[options.command](client, options)
    except OutputError:
        raise
    except RefusedError as error:
        say(refusal(error))
        return EXIT_REFUSED
    except (ClientError, OverseerError) as error:
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


def _time(text: str) -> datetime:
    with suppress(ValueError):
        return parse_timestamp(text)
    with suppress(ValueError, OverflowError):
        return now() - timedelta(microseconds=parse_duration(text) // 1000)
    raise OverseerError(
        f"a time is written like 2026-03-14T09:26:53Z, or 10m for ten minutes ago, not {text!r}"
    )


def _print_lines(lines: Sequence[str]) -> None:
    print_text("".join(line + "\n" for line in lines))


# -- tasks


def _start(client: Client, options: Options) -> int:
    look_at_action(client, options.action, options.params)
    task = client.start(options.action, options.params, task_id=options.id, force=options.force)
    try:
        if options.json:
            print_json({"task_id": task.id, "state": task.state})
        else:
            print_text(f"{plain(task.id)}\n")
    except OutputError as error:
        if not error.gone:
            say(f"the task is started all the same: {plain(task.id)}")
        raise
    if task.state == "queued" and not options.json:
        say("it waits in the queue; overseerctl wait waits for its end")
    return 0


def _stop(client: Client, options: Options) -> int:
    joined: dict[str, Task] = {}

    def stop(task_id: str) -> None:
        if options.wait:
            with suppress(RefusedError):  # so is the stop then, in words of its own
                joined[task_id] = client.subscribe(task_id)
        client.stop(task_id)

    task_ids = list(dict.fromkeys(options.tasks))
    stopped = _each(task_ids, stop)
    for task_id in stopped:
        if task_id in joined:
            _await(joined[task_id], None)
    if options.json:
        print_json({"stopped": list(stopped)})
    return 0 if len(stopped) == len(task_ids) else EXIT_REFUSED


def _reset(client: Client, options: Options) -> int:
    task_ids = list(dict.fromkeys(options.tasks))
    started = _each(task_ids, client.reset)
    if options.json:
        print_json([to_plain(event) for event in started.values()])
    return 0 if len(started) == len(task_ids) else EXIT_REFUSED


def _each(task_ids: Sequence[str], ask: Callable[[str], _T]) -> dict[str, _T]:
    """Ask for every task, saying which are refused; the answers for the others."""
    answers = {}
    for task_id in task_ids:
        try:
            answers[task_id] = ask(task_id)
        except RefusedError as error:
            say(f"{plain(task_id)}: {str(error).removesuffix(f': {task_id}')}")
    return answers


def _list(client: Client, options: Options) -> int:
    tasks = client.tasks(options.since, limit=options.limit, after=options.after)
    if options.json:
        print_json([to_plain(task) for task in tasks])
    elif tasks:
        style = Style(getattr(options, "color", "auto"), sys.stdout)
        _print_lines(tasks_table(tasks, now(), style, room()))
    else:
        say("no tasks")
    return 0


def _await(task: Task, deadline: float | None) -> None:
    """Wait for its end, and show that on a terminal."""
    shown = Progress(lambda: f"waiting for task {plain(task.id)}, which is {task.state}")
    with shown, suppress(TaskNotRunError):
        task.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))


def _wait(client: Client, options: Options) -> int:
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    task_ids = list(dict.fromkeys(options.tasks))
    tasks = _each(task_ids, client.subscribe)
    if len(tasks) < len(task_ids):
        return EXIT_REFUSED
    statuses = []
    ended: list[dict[str, Any]] = []
    for task in tasks.values():
        try:
            _await(task, deadline)
        except ReplyTimeoutError:
            say(f"{plain(task.id)} is not over after {options.timeout:g} s")
            return EXIT_TIMEOUT
        statuses.append(of_exit(task.exit) or (1 if task.state == "errored" else 0))
        ended.append(
            {
                "task_id": task.id,
                "state": task.state,
                "exited": None if task.exit is None else to_plain(task.exit),
            }
        )
    if options.json:
        print_json(ended)
    return next((status for status in statuses if status), 0)


def _tail(client: Client, options: Options) -> int:
    from overseer.ctl.tail import Printer, tail

    task_ids = list(dict.fromkeys(options.tasks))
    if not task_ids:
        task_ids = [task.task_id for task in client.tasks() if task.worker_state == "running"]
        if not task_ids:
            say("no task runs; overseerctl list shows those that did")
            return 0
    style = Style(getattr(options, "color", "auto"), sys.stdout)
    printer = Printer(task_ids, style, as_json=options.json, timestamps=options.timestamps)
    return tail(client, task_ids, printer, lines=options.lines, follow=options.follow)


def _replay(client: Client, options: Options) -> int:
    from overseer.ctl.tail import Printer, replay

    style = Style(getattr(options, "color", "auto"), sys.stdout)
    printer = Printer([options.task], style, as_json=options.json, timestamps=options.timestamps)
    statuses = _each(
        [options.task], lambda task_id: replay(client, task_id, printer, options.since_seq, options.since)
    )
    return statuses.get(options.task, EXIT_REFUSED)


def _events(client: Client, options: Options) -> int:
    from overseer.ctl.events import events

    return events(client, options.tasks)


def _top(client: Client, options: Options) -> int:
    from overseer.ctl.top import top

    if options.json:
        keys = {"tasks": [to_plain(task) for task in client.tasks()], "pool": to_plain(client.pool())}
        counted = client.metrics()
        print_json({**keys, "metrics": None if counted is None else to_plain(counted)})
        return 0
    return top(client, Style(getattr(options, "color", "auto"), sys.stdout), options.interval)


# -- actions, pools, counters


def _actions(client: Client, options: Options) -> int:
    actions = client.actions(options.action)
    if options.json:
        print_json([to_plain(action) for action in actions])
    elif options.action:
        _print_lines(action_lines(actions[0]))
    elif actions:
        _print_lines(actions_table(actions, room()))
    else:
        say("no actions; the server's config names them")
    return 0


def _pool(client: Client, options: Options) -> int:
    pool = client.pool(options.action)
    if options.json:
        print_json(to_plain(pool))
    else:
        _print_lines(pool_lines(options.action or "", pool, now(), room()))
    return 0


def _set_pool(client: Client, options: Options) -> int:
    given = {"action": options.excess, "order": options.order, "grace": options.grace}
    excess = {name: value for name, value in given.items() if value is not None}
    if options.limit is None and options.queue_size is None and not excess:
        say("say what to change: --limit, --queue-size, --excess, --order or --grace")
        return EXIT_USAGE
    pool = client.set_pool(
        options.action, limit=options.limit, queue_size=options.queue_size, excess=excess or None
    )
    if options.json:
        print_json(to_plain(pool))
    else:
        _print_lines(pool_lines(options.action or "", pool, now(), room()))
    return 0


def _purge(client: Client, options: Options) -> int:
    count = client.purge(options.action)
    if options.json:
        print_json({"count": count})
    else:
        print_text(f"{count} taken out of the queue\n")
    return 0


def _metrics(client: Client, options: Options) -> int:
    counted = client.metrics(options.action, task_id=options.task)
    if counted is None:
        what = f"action {options.action}" if options.task is None else f"task {options.task}"
        say(f"no counters: the server knows no {plain(what)}")
        return EXIT_REFUSED
    values = to_plain(counted)
    if options.json:
        print_json(values)
    else:
        size = max(map(len, values))
        _print_lines([f"{name:<{size}}  {'-' if value is None else value}" for name, value in values.items()])
    return 0


def _reload(client: Client, options: Options) -> int:
    reloaded = to_plain(client.reload(dry_run=options.dry_run))
    if options.json:
        print_json(reloaded)
        return 0
    lists = {name: value for name, value in reloaded.items() if isinstance(value, list | tuple) and value}
    _print_lines(
        [f"{name.replace('_', ' ')}: {', '.join(map(plain, value))}" for name, value in lists.items()]
    )
    if not lists:
        say("nothing has changed")
    elif options.dry_run:
        say("this was a dry run: nothing was changed")
    return 0


def _check(client: Client, options: Options) -> int:
    began = time.monotonic()
    pool, actions = client.pool(), client.actions()
    seconds = round(time.monotonic() - began, 4)
    answer = {
        "ok": True,
        "actions": len(actions),
        "running": pool.running,
        "waiting": pool.queue_depth,
        "seconds": seconds,
    }
    if options.json:
        print_json(answer)
    else:
        print_text(
            f"ok: {len(actions)} actions, {pool.running} running, {pool.queue_depth} waiting, "
            f"answered in {seconds * 1000:.1f} ms\n"
        )
    return 0


def _complete(
    settings: Settings, words: Sequence[str], commands: argparse.Action, parser: argparse.ArgumentParser
) -> int:
    from overseer.ctl.completion import candidates

    def connect() -> Client:
        return settings.connect(timeout=1.0, reconnect=0)

    given = words[1:] if words[:1] == ["--"] else words
    _print_lines(list(candidates(given, commands, parser, connect)))
    return 0


_COMMANDS: dict[str, Callable[[Client, Options], int]] = {
    "start": _start,
    "stop": _stop,
    "reset": _reset,
    "list": _list,
    "wait": _wait,
    "tail": _tail,
    "replay": _replay,
    "events": _events,
    "top": _top,
    "actions": _actions,
    "pool": _pool,
    "set-pool": _set_pool,
    "purge": _purge,
    "metrics": _metrics,
    "reload": _reload,
    "check": _check,
}
