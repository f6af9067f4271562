"""What is probably not meant so in a command line, found before anything runs.

That is what parameters could do to it, and programs that are not there.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Collection, Sequence
from pathlib import PurePath

from overseer.errors import ConfigWarning, TemplateError
from overseer.templates import Template

__all__ = ["warn_of_missing_program", "warn_of_open_params"]

# "-o" and the like most often have their value in the next argument, which is then no option whatever it is.
_TAKES_A_VALUE = re.compile(r"-[A-Za-z0-9]\Z")
_SHELLS = ("sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh")


def warn_of_open_params(
    entrypoint: Template, arguments: Sequence[Template], checked: Collection[str]
) -> None:
    """Give a ConfigWarning where a value that nothing checks chooses the program, becomes part of a shell's
    script, or may be taken for an option.

    Args:
        checked: the parameters with a ``validate``; others, declared or not, may have any value.
    """
    script = _script([entrypoint.text, *(argument.text for argument in arguments)])
    if names := _open(entrypoint.names, checked):
        _warn(f"{names} chooses the program, and nothing checks it: give it a validate", "entrypoint")
    for place, argument in enumerate(arguments):
        if place == script:
            if names := _open(argument.unquoted, checked):
                _warn(
                    f"{names} goes into a shell's script as it is, where it may end a word and begin a "
                    "command: write [[ shquote .NAME ]], or give it a validate",
                    "command", place,
                )  # fmt: skip
            return  # what follows are the script's $0, $1 and so on
        if argument.text == "--":
            return
        if place and _TAKES_A_VALUE.match(arguments[place - 1].text):
            continue
        for name in sorted(argument.names - set(checked)):
            if _may_be_an_option(argument, name):
                _warn(
                    f"{name} can begin with - and be taken for an option: give it a validate, write "
                    f'--OPTION=[[.{name}]] where it belongs to one, or put "--" before it if the program '
                    "knows that",
                    "command", place,
                )  # fmt: skip


def warn_of_missing_program(entrypoint: Template) -> None:
    """Give a ConfigWarning where the program is not to be found now; it may be there when a task starts."""
    if entrypoint.names:
        return
    program = entrypoint.render({})
    if not program or shutil.which(program):
        return
    first, _, rest = program.partition(" ")
    if rest and shutil.which(first):
        hint = f": if {first} is meant, the rest goes into command"
    else:
        hint = "" if "/" in program else " in PATH"
    _warn(f'there is no program "{program}"{hint}', "entrypoint")


def _script(words: Sequence[str]) -> int | None:
    """Which argument (from 0) a shell is given as its script, with -c; None when there is no such thing."""
    for start, word in enumerate(words):
        if PurePath(word).name not in _SHELLS:
            continue
        is_script, position = False, start + 1
        while position < len(words) and words[position][:1] in ("-", "+"):
            option = words[position]
            is_script = is_script or (not option.startswith("--") and "c" in option)
            position += 2 if option.endswith("o") and not option.startswith("--") else 1  # -o NAME
        if is_script and position < len(words):
            return position - 1
    return None


def _may_be_an_option(argument: Template, name: str) -> bool:
    """Whether the argument begins with - because this parameter does."""
    plain = dict.fromkeys(argument.names, "x")
    try:
        return argument.render({**plain, name: "-x"}).startswith("-") and not argument.render(
            plain
        ).startswith("-")
    except TemplateError:
        return False  # it does not take just any value


def _open(names: Collection[str], checked: Collection[str]) -> str:
    return " and ".join(sorted(set(names) - set(checked)))


def _warn(message: str, *path: str | int) -> None:
    warnings.warn(ConfigWarning(message, path=path), stacklevel=3)
