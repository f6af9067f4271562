"""Completion for bash, zsh and fish. The scripts ask ``overseerctl __complete``, which asks the server."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from glob import escape, glob
from itertools import pairwise
from pathlib import Path
from signal import Signals

from overseer.client import Client
from overseer.ctl.finding import known_tasks
from overseer.ctl.schedules import scheduled_tasks
from overseer.ctl.settings import NAMES
from overseer.ctl.statuses import GOING_ON, WORDS
from overseer.ctl.usage.commands import Commands
from overseer.ctl.values import RUN_STATUSES, run_statuses, statuses
from overseer.errors import OverseerError
from overseer.protocol import TaskInfo
from overseer.protocol.words import OVER

# Candidates are names that other people chose, so each must be quoted: bash inserts them verbatim, so its
# script quotes them; zsh's compadd (without -Q) and fish do that by themselves.
SCRIPTS = {
    # readline splits words at = and :; they are joined again, and the first part is cut off from the answers.
    # read without -r removes backslashes, which earlier completions have inserted.
    "bash": r"""_overseerctl() {
    local line=${COMP_LINE:0:COMP_POINT} last=${COMP_WORDS[COMP_CWORD]} words current candidate
    read -a words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[-1]}
    [[ $last == [=:] ]] && last=
    IFS= read last <<< "$last"
    local cut=${current%"$last"}
    COMPREPLY=()
    while IFS= read -r candidate; do
        candidate=${candidate#"$cut"}
        [[ -n $candidate ]] && printf -v candidate %q "$candidate"
        COMPREPLY+=("$candidate")
    done < <(command "${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}
complete -F _overseerctl overseerctl
""",
    "zsh": r"""#compdef overseerctl
_overseerctl() {
    local -a found
    found=("${(@f)$(command ${words[1]} __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    found=(${found:#})
    compadd -S ' ' -- ${found:#*=}
    compadd -S '' -- ${(M)found:#*=}
}
if [ "$funcstack[1]" = "_overseerctl" ]; then _overseerctl "$@"; else compdef _overseerctl overseerctl; fi
""",
    "fish": r"""complete -c overseerctl -f -a '(
    set -l words (commandline -opc) (commandline -ct)
    command $words[1] __complete -- $words[2..-1] 2>/dev/null
)'
""",
}

_TASKS: dict[str, Callable[[TaskInfo], bool]] = {  # commands about tasks, and about which
    "attach": lambda task: bool(task.stdin),
    "events": lambda task: True,
    "input": lambda task: bool(task.stdin),
    "move": lambda task: task.status == "queued",
    "replay": lambda task: True,
    "reset": lambda task: task.status == "errored",
    "restart": lambda task: task.status not in ("queued", "waiting"),
    "rm": lambda task: task.status in OVER,
    "signal": lambda task: task.worker_state == "running",
    "stop": lambda task: task.status in GOING_ON,
    "tail": lambda task: True,
    "wait": lambda task: True,
}
_LOGGED = {"history", "logs"}  # also about forgotten tasks
_SCHEDULED = {"schedules", "pause", "resume"}
_ACTIONS = {"run", "start"}
_ONE_ACTION = {"actions", "describe", "pool", "set-pool", "purge", "metrics"}
_ONE_TASK = {"attach", "history", "input", "replay", "schedules"}
_FILES = ("file", "ca", "cert", "key")


def candidates(
    words: Sequence[str],
    known: Commands,
    commands: argparse.Action,
    top_level: argparse.ArgumentParser,
    connect: Callable[[], Client],
) -> Iterator[str]:
    """Completions of the last of ``words``, given the others before it."""
    *before, current = words or [""]
    parsers: dict[str, argparse.ArgumentParser] = dict(commands.choices or {})
    named = _without_options(before, [top_level, *parsers.values()])
    if named:
        named[0] = known.aliases.get(named[0], named[0])
    parser = parsers.get(named[0]) if named else top_level
    if parser is None:
        return
    option = _option(parser, before[-1]) if before else None
    shown = [name for group in known.groups.values() for name in group]
    found: Sequence[str] = []
    if option is not None and option.nargs != 0:
        with suppress(OverseerError):
            found = _values(option, named, current, connect)
    elif current.startswith("--") and "=" in current:
        name, _, value = current.partition("=")
        option = _option(parser, name)
        if option is not None and option.nargs != 0:
            with suppress(OverseerError):
                found = [f"{name}={each}" for each in _values(option, named, value, connect)]
    elif current.startswith("-"):
        found = [text for text in parser._option_string_actions if text.startswith("--")]
    elif not named:
        found = [*shown, "help"]
    elif named[0] == "help":
        found = shown if len(named) == 1 else []
    else:
        with suppress(OverseerError):
            found = _names(_named(named[0], named[1:], current, connect))
    yield from (text for text in found if text.startswith(current))


def _values(
    option: argparse.Action, named: Sequence[str], current: str, connect: Callable[[], Client]
) -> Sequence[str]:
    """What an option may be followed by."""
    if option.choices:
        return [str(choice) for choice in option.choices]
    if option.type in (statuses, run_statuses):
        words = WORDS if option.type is statuses else RUN_STATUSES
        before, comma, _ = current.rpartition(",")
        return [f"{before}{comma}{word}" for word in words if word not in before.split(",")]
    if option.dest in _FILES:
        return _files(current)
    if option.dest in ("task", "before", "after"):
        with connect() as client:
            of_all = named and named[0] == "search"
            return _names(known_tasks(client) if of_all else [task.task_id for task in client.tasks()])
    if option.dest == "run" and len(named) > 1:
        with connect() as client:
            return [str(run.number) for run in client.runs(named[1])]
    if option.dest == "action":
        with connect() as client:
            return _names(action.name for action in client.actions())
    if option.dest == "group":
        with connect() as client:
            return _names({action.group: None for action in client.actions() if action.group})
    return []


def _files(current: str) -> list[str]:
    found = sorted(glob(f"{escape(current)}*", include_hidden=True))  # noqa: PTH207 (which drops ./)
    return [f"{each}/" if Path(each).is_dir() else each for each in found]


def server_of(words: Sequence[str]) -> dict[str, str]:
    """The values of --url, --token and the like in the words before the last, which is still being typed."""
    found = {}
    for word, following in pairwise([*words[:-1], ""]):
        option, equals, value = word.partition("=")
        if option.startswith("--") and option[2:] in NAMES:
            text = (value if equals else following).strip("'\"")
            found[option[2:]] = str(Path(text).expanduser()) if text.startswith("~") else text
    return found


def _names(found: Iterable[str]) -> list[str]:
    """The names that are safe on a command line: a task may be called --url=ws://elsewhere, or anything."""
    return [name for name in found if name.isprintable() and not name.startswith("-")]


def _named(command: str, given: Sequence[str], current: str, connect: Callable[[], Client]) -> list[str]:
    if command == "completion":
        return [] if given else list(SCRIPTS)
    if command == "notify":
        return [] if given else ["test"]
    if command == "signal" and not given:
        return [each.name for each in Signals]
    if command in _ONE_TASK and given:
        return []
    if command not in {*_TASKS, *_LOGGED, *_SCHEDULED, *_ACTIONS, *_ONE_ACTION}:
        return []
    with connect() as client:
        if command in _LOGGED:
            return [task_id for task_id in known_tasks(client) if task_id not in given]
        if command in _SCHEDULED:
            return scheduled_tasks(client, command, given)
        if wanted := _TASKS.get(command):
            tasks = client.tasks()
            return [task.task_id for task in tasks if wanted(task) and task.task_id not in given]
        if not given:
            names = [action.name for action in client.actions()]
            return names + [node.task_id for node in client.graph().nodes if command == "start"]
        if command in _ACTIONS:
            (action,) = client.actions(given[0])
            name, equals, _ = current.partition("=")
            if equals:
                spec = action.params.get(name)
                return [f"{name}={value}" for value in spec.values] if spec else []
            have = {word.partition("=")[0] for word in given[1:]}
            return [f"{name}=" for name in action.params if name not in have]
        return []


def _without_options(words: Sequence[str], parsers: Sequence[argparse.ArgumentParser]) -> list[str]:
    """The words that are neither options nor their values."""
    left = []
    takes_value = False
    for word in words:
        if takes_value:
            takes_value = False
        elif word.startswith("-"):
            options = [option for parser in parsers if (option := _option(parser, word)) is not None]
            takes_value = any(option.nargs != 0 for option in options)
        else:
            left.append(word)
    return left


def _option(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    return parser._option_string_actions.get(word)
