"""Probable mistakes in an action, found before anything runs.

Parameters that may alter the command line, programs that do not exist, and whatever would be refused or fail
whatever a start gives.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from pathlib import PurePath
from typing import TYPE_CHECKING

from overseer.cel import eval_cel_bool
from overseer.config.exec import ExecConfig
from overseer.config.parameters import Parameter, fault_of, template_values, values_of
from overseer.errors import CelError, ConfigError, ConfigWarning, TemplateError
from overseer.process.environment import EnvFile
from overseer.process.setup import setup_faults
from overseer.schema.location import Path
from overseer.templates import Template

if TYPE_CHECKING:
    from overseer.cel.program import Program

# Sample values; an expression over parameters that accepts none of these is taken to accept nothing.
_SAMPLES = (
    "x",
    "1",
    "1.5",
    "a,b",
    "",
    "/a/b.c",
    "true",
    "key=value",
    "2024-05-06",
    "[1]",
    "x" * 64,
    "1" * 40,
)

# "-o" and the like mostly take the next argument as their value, which is then never read as an option.
_TAKES_A_VALUE = re.compile(r"-[A-Za-z0-9]\Z")
_FOREIGN = re.compile(r"(\{\{ *\.?(\w+) *\}\})", re.ASCII)
_SHELLS = ("sh", "ash", "bash", "dash", "fish", "ksh", "mksh", "zsh")


def warn_of_open_params(
    entrypoint: Template, arguments: Sequence[Template], parameters: Mapping[str, Parameter]
) -> None:
    """Warn where an unchecked value chooses the program, becomes part of a shell script, or may be taken for
    an option.
    """
    checked = [name for name, each in parameters.items() if _is_checked(each)]
    no_option = [name for name, each in parameters.items() if _is_no_option(each)]
    script = _script([entrypoint.text, *(argument.text for argument in arguments)])
    for name in sorted(entrypoint.names.difference(checked)):
        _warn(f"{name} chooses the program unchecked: give it a validate", "entrypoint")
    for place, argument in enumerate(arguments):
        if place == script:
            for name in sorted(argument.unquoted.difference(checked)):
                _warn(
                    f"{name} goes into a shell's script as it is, where it may end a word and begin a "
                    f"command: write [[ shquote .{name} ]], or give it a validate",
                    "command", place,
                )  # fmt: skip
            return  # what follows are the script's $0, $1 and so on
        if argument.text == "--":
            return
        if place and _TAKES_A_VALUE.match(arguments[place - 1].text):
            continue
        for name in sorted(argument.names - set(no_option)):
            if _may_be_an_option(argument, name):
                _warn(
                    f"{name} can begin with - and be taken for an option: give it a validate, write "
                    f'--OPTION=[[.{name}]] if it is the value of one, or put "--" before it if the program '
                    "supports that",
                    "command", place,
                )  # fmt: skip


def _is_checked(parameter: Parameter) -> bool:
    """Whether its values are restricted. (A path may be any.)"""
    spec, rule = parameter
    return rule is not None or spec.pattern != "" or spec.type not in ("text", "path", "secret")


def _is_no_option(parameter: Parameter) -> bool:
    """Whether its values are restricted such that they cannot begin with -, as far as the type tells."""
    spec, rule = parameter
    if rule is not None or spec.pattern or spec.choices or spec.type in ("boolean", "path"):
        return True
    return spec.type in ("integer", "number") and spec.min is not None and spec.min >= 0


def warn_of_foreign_templates(
    templates: Mapping[Path, Template], parameters: Mapping[str, Parameter]
) -> None:
    """Warn of parameters that nothing uses but what is a template in other programs: ``{{ name }}``."""
    unused = set(parameters).difference(*(template.names for template in templates.values()))
    for path, template in templates.items():
        for found, name in _FOREIGN.findall(template.text):
            if name in unused:
                _warn(f"{found} is plain text here: the parameter is [[.{name}]]", *path)


def warn_of_missing_program(entrypoint: Template) -> None:
    """Warn if the program does not exist now; it may when a task starts."""
    if entrypoint.names:
        return
    program = entrypoint.render({})
    if not program or shutil.which(program):
        return
    first, _, rest = program.partition(" ")
    if rest and shutil.which(first):
        hint = f": if {first} is meant, the rest goes into command"
    else:
        hint = _tilde(program) if "/" in program else " in PATH"
    _warn(f'no such program "{program}"{hint}', "entrypoint")


def warn_of_missing_files(cwd: Template | None, env_files: Sequence[EnvFile]) -> None:
    """Warn of files and directories that do not exist now; they may when a task starts."""
    if cwd is not None and not cwd.names and not FilePath(cwd.render({})).is_dir():
        _warn(f'no such directory "{cwd.render({})}"{_tilde(cwd.text)}', "cwd")
    for file in env_files:
        if file.required and not FilePath(file.path).is_file():
            _warn(f'no such file "{file.path}"{_tilde(file.path)}', "env_file")


def _tilde(path: str) -> str:
    return ": ~ is not expanded" if path.startswith("~") else ""


def warn_of_missing_rights(config: ExecConfig) -> None:
    """Warn of settings that this process lacks the rights for; the server may run as another user.

    Raises:
        ConfigError: a required cgroup cannot be set up.
    """
    for key, text in setup_faults(config.user, config.group, config.rlimits, config.nice):
        _warn(text, *key.split("."))
    if config.cgroup is None:
        return
    for key, text in config.cgroup.faults():
        if config.cgroup.require:
            raise ConfigError(text, path=tuple(key.split(".")))
        _warn(f"{text}; tasks run without", *key.split("."))


def warn_of_refusals(rules: Mapping[str, Parameter]) -> None:
    """Warn of each parameter whose rules accept no value, or refuse one of its choices or its default."""
    for name, (spec, rule) in rules.items():
        allowed = values_of(spec)
        if allowed == []:
            _warn("matches no value of its type, so every start is refused", "parameters", name, "pattern")
            continue
        if rule is None:
            continue
        refused = [value for value in allowed or () if _refusal(rule, value) is not None]
        if rule.constant is False:
            _warn("is never true, so every start is refused", "parameters", name, "validate")
        elif allowed is not None and len(refused) == len(allowed):
            _warn(
                "is false for every value that the parameter can have, so every start is refused",
                "parameters", name, "validate",
            )  # fmt: skip
        elif spec.choices and refused:
            which = spec.values.index(refused[0])
            _warn("is refused by the parameter's own validate", "parameters", name, "choices", which)
        elif spec.default is not None and (reason := _refusal(rule, spec.default)) is not None:
            _warn(
                f"does not meet the parameter's own validate{reason}: a start without {name} is refused",
                "parameters", name, "default",
            )  # fmt: skip


def _refusal(rule: Program, value: str) -> str | None:
    """None if the value is accepted, otherwise the reason, which may be empty."""
    try:
        return None if eval_cel_bool(rule, value) else ""
    except CelError as error:
        return f" ({error.message})"


def warn_of_failing_templates(
    entrypoint: Template, arguments: Sequence[Template], rules: Mapping[str, Parameter]
) -> None:
    """Warn of each text that cannot be rendered with any of the values tried."""
    samples = {name: _accepted(each) for name, each in rules.items()}
    declared = {name: each.spec for name, each in rules.items()}
    tried = [
        template_values(
            declared, {name: values[number % len(values)] for name, values in samples.items() if values}
        )
        for number in range(len(_SAMPLES) + 1)
    ]
    for path, template in (
        (("entrypoint",), entrypoint),
        *((("command", place), argument) for place, argument in enumerate(arguments)),
    ):
        if not all(samples.get(name, ["?"]) for name in template.names):
            continue  # no acceptable value is known for one of its parameters
        errors = []
        for params in tried:
            try:
                template.render(params)
                break
            except TemplateError as error:
                errors.append(str(error))
        else:
            _warn(f"fails with every value tried: {errors[0]}", *path)


def _accepted(parameter: Parameter) -> list[str]:
    """Values that a parameter accepts, among its default, bounds and choices and the samples."""
    spec, rule = parameter
    given = [] if spec.default is None else [spec.default]
    bounds = [str(bound) for bound in (spec.min, spec.max) if bound is not None]
    return [
        value
        for value in (*given, *bounds, *(values_of(spec) or ()), *_SAMPLES)
        if not fault_of(spec, value) and (rule is None or _refusal(rule, value) is None)
    ]


def _script(words: Sequence[str]) -> int | None:
    """The index of the argument that is a shell's script (sh -c); None without a script."""
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
        return False  # the template does not accept just any value


def _warn(message: str, *path: str | int) -> None:
    warnings.warn(ConfigWarning(message, path=path), stacklevel=3)
