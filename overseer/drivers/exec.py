"""The built-in driver: a task is an operating-system process. Also the one to copy from.

Its ``config``::

    entrypoint: convert                       # the program, a [[ ]] template
    command: ["[[.source]]", "-resize", "[[.size]]"]
    parameters:
      source: {}                              # required
      size: {default: "50%", validate: 'value.matches("^[0-9]+%$")'}
      quality: 80                             # a plain value is a default
    output:
      stdout: {condition: "has(output.json.event)"}
      stderr: {condition: "false"}
      merge: false                            # true: stderr goes where stdout goes, in one order
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from overseer.cel import compile_cel, compile_condition, eval_cel_bool
from overseer.config import ConfigErrors, config_text
from overseer.config.kinds import BOOLEANS
from overseer.drivers.api import ActionHandler, register_factory
from overseer.drivers.lint import (
    warn_of_failing_templates,
    warn_of_missing_program,
    warn_of_open_params,
    warn_of_refusals,
)
from overseer.errors import (
    CelError,
    ConfigError,
    ConfigWarning,
    TemplateError,
    UnknownKeyWarning,
    ValidationError,
)
from overseer.protocol import ActionInfo, ParamSpec, PoolConfig, RetryPolicy
from overseer.templates import Dialect, Template, compile_template
from overseer.util.suggest import nearest
from overseer.workers.base import OutputBatch, Worker, WorkerCallbacks
from overseer.workers.os_process import WorkerConfig, start_worker

if TYPE_CHECKING:
    from overseer.cel.program import Condition, Program  # not loaded until an expression is compiled

__all__ = ["ExecFactory", "ExecHandler"]

Path = tuple[str | int, ...]

_KEYS = ("entrypoint", "command", "parameters", "output", "stdout_condition", "stderr_condition")


@dataclass(frozen=True)
class _Parameter:
    spec: ParamSpec | None  # None: required, and any value will do
    rule: Program | None


class ExecHandler(ActionHandler):
    """Runs one action's command line, with each argument rendered from the task's parameters."""

    def __init__(
        self,
        info: ActionInfo,
        entrypoint: Template,
        arguments: tuple[Template, ...],
        parameters: Mapping[str, _Parameter],
        conditions: Mapping[str, Condition],
        merge: bool,
    ) -> None:
        self._info = info
        self._entrypoint = entrypoint
        self._arguments = arguments
        self._parameters = parameters
        self._conditions = conditions  # by stream; those that let everything through are not in it
        self._merge = merge

    def describe(self) -> ActionInfo:
        return self._info

    def validate(self, params: Mapping[str, str]) -> None:
        resolved = self._resolve(params)
        for name, parameter in self._parameters.items():
            if name not in resolved:
                raise ValidationError(f"missing required parameter {name!r}")
            if parameter.rule is None:
                continue
            rule = parameter.spec.validate if parameter.spec else ""
            try:
                accepted = eval_cel_bool(parameter.rule, resolved[name])
            except CelError as error:
                raise ValidationError(f"parameter {name!r} does not meet {rule}: {error.message}") from None
            if not accepted:
                raise ValidationError(f"parameter {name!r} does not meet {rule}")

    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        resolved = self._resolve(params)
        config = WorkerConfig(
            task_id,
            _rendered("entrypoint", self._entrypoint, resolved),
            [_rendered(f"command.{n}", argument, resolved) for n, argument in enumerate(self._arguments)],
            include_stdout=self._wanted("stdout"),
            include_stderr=self._wanted("stderr"),
            merge=self._merge,
        )
        if self._conditions:
            callbacks = replace(callbacks, on_output=_Filtered(callbacks.on_output, self._conditions))
        return start_worker(config, callbacks)

    def _resolve(self, params: Mapping[str, str]) -> dict[str, str]:
        defaults = {
            name: parameter.spec.default
            for name, parameter in self._parameters.items()
            if parameter.spec is not None and parameter.spec.default is not None
        }
        return {**defaults, **params}

    def _wanted(self, stream: str) -> bool:
        condition = self._conditions.get(stream)
        return condition is None or condition.constant_for(stream) is not False


class _Filtered:
    """Hands on the lines that meet their stream's condition."""

    def __init__(self, on_output: Callable[[OutputBatch], None], conditions: Mapping[str, Condition]) -> None:
        self._on_output = on_output
        self._unfinished = getattr(on_output, "unfinished", None)
        self._conditions = conditions

    def __call__(self, batch: OutputBatch) -> None:
        condition = self._conditions.get(batch.stream)
        if condition is not None:
            lines = condition.filter(batch.stream, batch.lines)
            if not lines:
                return
            batch = replace(batch, lines=lines)
        self._on_output(batch)

    def unfinished(self, stream: str, line: bytes) -> float | None:
        """Of a stream that has a condition nothing: it is for whole lines to meet."""
        if self._unfinished is None or stream in self._conditions:
            return None
        wait: float | None = self._unfinished(stream, line)
        return wait


def _rendered(key: str, template: Template, params: Mapping[str, str]) -> str:
    try:
        return template.render(params)
    except TemplateError as error:
        raise TemplateError(f"{key}: template: {error}") from None


class ExecFactory:
    """Makes an :class:`ExecHandler` from an action's ``config``."""

    type = "exec"

    def create(
        self,
        config: Mapping[str, Any],
        action_name: str,
        retry: RetryPolicy,
        pool: PoolConfig,
        dedupe_key: tuple[str, ...],
        templates: Dialect = "go",
    ) -> ExecHandler:
        problems = _Problems()
        _warn_unknown(config, _KEYS, ())
        with problems:
            entrypoint = _entrypoint(config.get("entrypoint"), templates)
        arguments = _arguments(config.get("command"), templates, problems)
        parameters = _parameters(config.get("parameters"), problems)
        conditions = _conditions(config, problems)
        merge = False
        with problems:
            merge = _merge(config, conditions)
        problems.raise_them()
        warn_of_missing_program(entrypoint)
        warn_of_open_params(
            entrypoint, arguments, [name for name, each in parameters.items() if each.rule is not None]
        )
        rules = {name: (each.spec, each.rule) for name, each in parameters.items()}
        warn_of_refusals(rules)
        warn_of_failing_templates(entrypoint, arguments, rules)
        for name in dedupe_key:
            if name not in parameters:
                message = f"dedupe_key names {name!r}, which is not among the parameters"
                warnings.warn(ConfigWarning(message, path=("parameters",)), stacklevel=2)
        _warn_undeclared(entrypoint, parameters, ("entrypoint",))
        for place, argument in enumerate(arguments):
            _warn_undeclared(argument, parameters, ("command", place))
        info = ActionInfo(
            action_name,
            self.type,
            params={name: parameter.spec for name, parameter in parameters.items()},
            task_pool=pool,
            retry=None if retry.empty else retry,
            dedupe_key=dedupe_key,
        )
        return ExecHandler(info, entrypoint, arguments, parameters, conditions, merge)


class _Problems:
    """``with problems:`` keeps a ConfigError for later, so that one mistake does not hide the next."""

    def __init__(self) -> None:
        self._errors: list[ConfigError] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, ConfigError):
            return False
        self._errors.append(error)
        return True

    def raise_them(self) -> None:
        if self._errors:
            raise ConfigErrors(self._errors)


def _entrypoint(value: Any, dialect: Dialect) -> Template:
    text = _text(value, ("entrypoint",))
    if not text:
        raise ConfigError("needs the program to run", path=("entrypoint",))
    return _template(text, dialect, ("entrypoint",))


def _arguments(value: Any, dialect: Dialect, problems: _Problems) -> tuple[Template, ...]:
    arguments = []
    with problems:
        if not isinstance(value, list | tuple | None):
            raise ConfigError("needs a list of arguments", path=("command",))
        for place, argument in enumerate(value or ()):
            with problems:
                path: Path = ("command", place)
                arguments.append(_template(_text(argument, path), dialect, path))
    return tuple(arguments)


def _parameters(value: Any, problems: _Problems) -> dict[str, _Parameter]:
    parameters: dict[str, _Parameter] = {}
    with problems:
        for name, given in _mapping(value, ("parameters",)).items():
            with problems:
                parameters[name] = _parameter(given, ("parameters", name))
    return parameters


def _parameter(given: Any, path: Path) -> _Parameter:
    if given is None:
        return _Parameter(None, None)
    if not isinstance(given, Mapping):
        return _Parameter(ParamSpec(default=_text(given, path)), None)
    _warn_unknown(given, ("default", "validate"), path)
    default = given.get("default")
    expression = _text(given.get("validate"), (*path, "validate"))
    spec = ParamSpec(None if default is None else _text(default, (*path, "default")), expression)
    rule = _compiled(compile_cel, expression, (*path, "validate")) if expression else None
    return _Parameter(None if spec == ParamSpec() else spec, rule)


def _conditions(config: Mapping[str, Any], problems: _Problems) -> dict[str, Condition]:
    conditions: dict[str, Condition] = {}
    with problems:
        output = _mapping(config.get("output"), ("output",))
        _warn_unknown(output, ("stdout", "stderr", "merge"), ("output",))
        for stream in ("stdout", "stderr"):
            with problems:
                condition = _condition(config, output, stream)
                if condition is not None:
                    conditions[stream] = condition
    return conditions


def _merge(config: Mapping[str, Any], conditions: Mapping[str, Condition]) -> bool:
    given = _mapping(config.get("output"), ("output",)).get("merge")
    path: Path = ("output", "merge")
    if given is None:
        return False
    text = config_text(given).lower() if not isinstance(given, Mapping | list | tuple) else ""
    if text not in BOOLEANS:
        raise ConfigError("needs true or false", path=path)
    if BOOLEANS[text] and "stderr" in conditions:
        raise ConfigError(
            "with merge there is no stderr that a condition could be about: its lines are stdout's", path=path
        )
    return BOOLEANS[text]


def _condition(config: Mapping[str, Any], output: Mapping[str, Any], stream: str) -> Condition | None:
    """The condition of a stream; None when it lets everything through."""
    given = _mapping(output.get(stream), ("output", stream))
    _warn_unknown(given, ("condition",), ("output", stream))
    path: Path = ("output", stream, "condition")
    expression = _text(given.get("condition"), path)
    if not expression:
        path = (f"{stream}_condition",)
        expression = _text(config.get(path[0]), path)
    if not expression:
        return None
    condition: Condition = _compiled(compile_condition, expression, path)
    never = all(condition.constant_for(each) is False for each in ("stdout", "stderr"))
    if never and expression.strip() != "false":
        message = 'is never true, so every line is dropped; write "false" if that is meant'
        warnings.warn(ConfigWarning(message, path=path), stacklevel=2)
    return None if condition.constant_for(stream) is True else condition


def _compiled(compiler: Any, expression: str, path: Path) -> Any:
    try:
        return compiler(expression)
    except CelError as error:
        raise ConfigError(f"CEL: {error}", path=path) from None


def _template(text: str, dialect: Dialect, path: Path) -> Template:
    try:
        return compile_template(text, dialect)
    except TemplateError as error:
        raise ConfigError(f"template: {error}", path=path) from None


def _text(value: Any, path: Path) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | tuple):
        raise ConfigError("needs a text", path=path)
    return config_text(value)


def _mapping(value: Any, path: Path) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError("needs a mapping", path=path)
    return value


def _warn_undeclared(template: Template, parameters: Mapping[str, _Parameter], path: Path) -> None:
    """A name that is no parameter renders empty unless a start gives it all the same: most likely a slip."""
    for name in sorted(template.names - set(parameters)):
        near = nearest(name, parameters)
        hint = f"; did you mean {near!r}?" if near else ""
        message = f"uses {name!r}, which is not among the parameters{hint}"
        warnings.warn(ConfigWarning(message, path=path), stacklevel=2)


def _warn_unknown(mapping: Mapping[str, Any], known: tuple[str, ...], path: Path) -> None:
    for key in mapping:
        if key not in known and not key.startswith("x-"):  # those are the user's
            near = nearest(key, known)
            hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(known)}"
            warnings.warn(UnknownKeyWarning(f"unknown key; {hint}", path=(*path, key)), stacklevel=2)


register_factory(ExecFactory())
