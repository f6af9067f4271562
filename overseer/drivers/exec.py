"""The built-in driver: a task is an operating-system process. Also a model for other drivers.

Its ``config``::

    entrypoint: convert                       # the program, a [[ ]] template
    command: ["[[.source]]", "-resize", "[[.size]]"]
    parameters:
      source: {}                              # required
      size: {default: "50%", validate: 'value.matches("^[0-9]+%$")'}
      quality: 80                             # a plain value is a default
      keep: {type: boolean, default: false}   # [[if .keep]]
    output:
      stdout: {condition: "has(output.json.event)"}
      stderr: {condition: "false"}
      merge: false                            # true: stderr goes where stdout goes, in one order
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from overseer.cel import eval_cel_bool
from overseer.config.exec import EXEC, ExecConfig
from overseer.config.parameters import Parameter, check_declared, is_private, template_values
from overseer.config.probes import booleans_of
from overseer.config.process_limits import shown_cgroup, shown_limits
from overseer.drivers.api import ActionHandler, register_factory
from overseer.drivers.lint import (
    warn_of_failing_templates,
    warn_of_foreign_templates,
    warn_of_missing_files,
    warn_of_missing_program,
    warn_of_missing_rights,
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
from overseer.schema.location import ConfigErrors, Location, Path, Report, quoted
from overseer.schema.nodes import to_node
from overseer.schema.objects import Object
from overseer.templates import Dialect, Template
from overseer.util.findings import findings
from overseer.util.suggest import did_you_mean, nearest
from overseer.util.thread_warnings import collected
from overseer.workers.base import OutputBatch, Worker, WorkerCallbacks
from overseer.workers.config import WorkerConfig
from overseer.workers.starting import start_worker

if TYPE_CHECKING:
    from overseer.cel.program import Condition  # not loaded until an expression is compiled


class ExecHandler(ActionHandler):
    """Runs one action's command line, with each argument rendered from the task's parameters."""

    def __init__(self, info: ActionInfo, config: ExecConfig) -> None:
        self._info = info
        self._config = config
        self._parameters = config.parameters
        self._env = config.env_templates
        self._secret_env = config.secret_env
        self._private = {name for name, (spec, _) in config.parameters.items() if is_private(spec)}
        self._conditions = config.conditions

    def describe(self) -> ActionInfo:
        return self._info

    def validate(self, params: Mapping[str, str]) -> None:
        check_declared(self._info.params, params)  # again, for callers without a server
        resolved = self._resolve(params)
        for name, parameter in self._parameters.items():
            if name not in resolved:
                raise ValidationError(f"missing required parameter {name!r}", param=name)
            if parameter.rule is None:
                continue
            why = ""
            try:
                if eval_cel_bool(parameter.rule, resolved[name]):
                    continue
            except CelError as error:
                why = "" if parameter.spec.type == "secret" else f": {error.message}"
            spec = parameter.spec
            said = f": {spec.message}" if spec.message else f" does not meet {spec.validate}{why}"
            raise ValidationError(f"parameter {name!r}{said}", param=name)

    def start(self, task_id: str, params: Mapping[str, str], callbacks: WorkerCallbacks) -> Worker:
        config = self._process(task_id, params)
        return self._begin(config, self.resume(task_id, callbacks))

    def resume(self, task_id: str, callbacks: WorkerCallbacks) -> WorkerCallbacks:
        if not self._conditions:
            return callbacks
        return replace(callbacks, on_output=_Filtered(callbacks.on_output, self._conditions))

    def _begin(self, config: WorkerConfig, callbacks: WorkerCallbacks) -> Worker:
        """Run a process: for those whose processes run elsewhere."""
        return start_worker(config, callbacks)

    def _process(self, task_id: str, params: Mapping[str, str]) -> WorkerConfig:
        """The process of a run."""
        mine = self._config
        variables = template_values(self._info.params, self._resolve(params))
        # Without secrets: no word of the command line may name one, but [[.]] would print them all.
        resolved = {name: value for name, value in variables.items() if name not in self._private}
        return WorkerConfig(
            task_id,
            _rendered("entrypoint", mine.entrypoint, resolved),
            [_rendered(f"command.{n}", argument, resolved) for n, argument in enumerate(mine.command)],
            include_stdout=self._wanted("stdout"),
            include_stderr=self._wanted("stderr"),
            merge=mine.output.merge,
            env={name: _rendered(f"env.{name}", value, variables) for name, value in self._env.items()},
            env_file=mine.env_file,
            inherit_env=mine.inherit_env,
            cwd=None if mine.cwd is None else _rendered("cwd", mine.cwd, resolved),
            umask=mine.umask,
            nice=mine.nice,
            rlimits=mine.rlimits,
            user=mine.user,
            group=mine.group,
            cgroup=mine.cgroup,
            stdin=mine.stdin,
            pty=(24, 80) if mine.pty is None else (mine.pty.rows, mine.pty.cols),
            secret_env=self._secret_env,
            secret_files=mine.secret_files,
        )

    def _resolve(self, params: Mapping[str, str]) -> dict[str, str]:
        defaults = {
            name: parameter.spec.default
            for name, parameter in self._parameters.items()
            if parameter.spec.default is not None
        }
        return {**defaults, **params}

    def _wanted(self, stream: str) -> bool:
        condition = self._conditions.get(stream)
        return condition is None or condition.constant_for(stream) is not False


class _Filtered:
    """Passes on the lines that satisfy their stream's condition."""

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
        """None for a stream with a condition, which only whole lines can satisfy."""
        if self._unfinished is None or stream in self._conditions:
            return None
        wait: float | None = self._unfinished(stream, line)
        return wait


def _rendered(key: str, template: Template, params: Mapping[str, str | bool]) -> str:
    try:
        return template.render(params)
    except TemplateError as error:
        raise TemplateError(f"{key}: template: {error}") from None


class ExecFactory:
    """Creates an :class:`ExecHandler` from an action's ``config``."""

    type = "exec"
    section = EXEC

    def create(
        self,
        config: Mapping[str, Any],
        action_name: str,
        retry: RetryPolicy,
        pool: PoolConfig,
        dedupe_key: tuple[str, ...],
        templates: Dialect = "go",
        secrets: Collection[str] | None = None,
    ) -> ExecHandler:
        read: ExecConfig = _read(self.section, config, templates)
        about = "exec", action_name, repr(config), dedupe_key, None if secrets is None else tuple(secrets)
        said: list[tuple[str, Path]] | None = findings.get(*about)
        if said is None:
            with collected(ConfigWarning) as warned:
                _check(read, dedupe_key, secrets)
            said = [(each.message, each.path) for each in warned]
            findings.add(lambda: said, *about)
        for message, path in said:
            warnings.warn(ConfigWarning(message, path=tuple(path)), stacklevel=2)
        declared = read.parameters.items()
        info = ActionInfo(
            action_name,
            self.type,
            params={name: None if spec == ParamSpec() else spec for name, (spec, _) in declared},
            task_pool=pool,
            retry=None if retry.empty else retry,
            dedupe_key=dedupe_key,
            settings=_settings(read),
        )
        return self._handler(info, read)

    def _handler(self, info: ActionInfo, read: Any) -> ExecHandler:
        """Check what depends on this machine, and make the handler."""
        warn_of_missing_program(read.entrypoint)
        warn_of_missing_files(read.cwd, read.env_file)
        warn_of_missing_rights(read)
        return ExecHandler(info, read)


def _read(of: Object, config: Mapping[str, Any], templates: Dialect) -> Any:
    """What an action's ``config`` says, read as ``of``; warns of doubtful keys.

    Raises:
        ConfigErrors: it cannot be used.
    """
    if config.get("entrypoint") is None:
        config = {"entrypoint": "", **config} | {"entrypoint": ""}  # first, so that the error is about it
    report = Report(templates=templates, booleans=booleans_of(config.get("parameters")))
    read = of.from_yaml(to_node(config), Location(report))
    for warning in report.warnings:
        category = UnknownKeyWarning if warning in report.unknown else ConfigWarning
        warnings.warn(category(warning.message, path=warning.path), stacklevel=3)
    report.raise_errors()
    return read


def _check(read: ExecConfig, dedupe_key: tuple[str, ...], secrets: Collection[str] | None) -> None:
    """Check what does not depend on the machine, and warn of what is doubtful.

    Raises:
        ConfigError: it cannot be used.
    """
    if secrets is not None:
        _check_secrets(read, secrets)
    entrypoint, arguments, parameters = read.entrypoint, read.command, read.parameters
    warn_of_open_params(entrypoint, arguments, parameters)
    warn_of_refusals(parameters)
    warn_of_failing_templates(entrypoint, arguments, parameters)
    for name in dedupe_key:
        if name in parameters and parameters[name].spec.type == "secret":
            message = "a secret cannot be in the dedupe_key, which would confirm a guess"
            raise ConfigError(message, path=("parameters", name))
        if name not in parameters:
            message = f"dedupe_key names {name!r}, which is not among the parameters"
            warnings.warn(ConfigWarning(message, path=("parameters",)), stacklevel=3)
    templates: dict[Path, Template] = {("entrypoint",): entrypoint}
    templates |= {("command", place): argument for place, argument in enumerate(arguments)}
    templates |= {("env", name): value for name, value in read.env_templates.items()}
    if read.cwd is not None:
        templates["cwd",] = read.cwd
    for path, template in templates.items():
        _warn_undeclared(template, parameters, path)
    warn_of_foreign_templates(templates, parameters)


def _check_secrets(read: ExecConfig, known: Collection[str]) -> None:
    """Raise the errors in the names of secrets, each with its location."""
    used = [
        *((("env", variable, "secret"), name) for variable, name in read.secret_env.items()),
        *((("secret_files", variable), name) for variable, name in read.secret_files.items()),
    ]
    wrong = [
        ConfigError(f"no secret {quoted(name)} at the top level{did_you_mean(name, known)}", path=path)
        for path, name in used
        if name not in known
    ]
    if wrong:
        raise ConfigErrors(wrong)


def _settings(config: ExecConfig) -> dict[str, str]:
    """The process settings, as ``describe`` shows them; variables by name only."""
    inherit = config.inherit_env
    shown = {
        "cwd": config.cwd.text if config.cwd is not None else "",
        "env": ", ".join(
            f"{name} (secret {secret})" if (secret := config.secret_env.get(name)) else name
            for name in config.env
        ),
        "secret_files": ", ".join(f"{name} (secret {each})" for name, each in config.secret_files.items()),
        "env_file": ", ".join(file.path for file in config.env_file),
        "inherit_env": inherit if isinstance(inherit, str) else ", ".join(inherit) or "none",
        "umask": "" if config.umask is None else f"{config.umask:03o}",
        "nice": "" if config.nice is None else str(config.nice),
        "rlimits": shown_limits(config.rlimits),
        "user": config.user,
        "group": config.group,
        "cgroup": shown_cgroup(config.cgroup),
        "stdin": config.stdin,
        "pty": "" if config.pty is None else f"rows {config.pty.rows}, cols {config.pty.cols}",
    }
    usual = {("inherit_env", "all"), ("stdin", "none")}
    return {name: value for name, value in shown.items() if value and (name, value) not in usual}


def _warn_undeclared(template: Template, parameters: Mapping[str, Parameter], path: Path) -> None:
    """Warn of undeclared parameters in a template: they render empty unless a start gives them anyway."""
    for name in sorted(template.names - set(parameters)):
        near = nearest(name, parameters)
        hint = f"; did you mean {near!r}?" if near else ""
        message = f"uses {name!r}, which is not among the parameters{hint}"
        warnings.warn(ConfigWarning(message, path=path), stacklevel=2)


register_factory(ExecFactory())
