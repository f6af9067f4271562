"""``ready`` and ``health`` of an action: the probes of its runs.

What is in the file stays text, so that a reload can tell whether it has changed; it is compiled as it is
read, and again for each run, whose parameters it may name.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from overseer.config.exec import TemplateText
from overseer.config.key_hints import hints_at
from overseer.config.parameters import template_values
from overseer.config.targets import Program, Target, parse_http, parse_tcp
from overseer.errors import TemplateError, ValidationError
from overseer.protocol import ParamSpec
from overseer.schema.fields import declared, field
from overseer.schema.location import Location, Report
from overseer.schema.nodes import MapNode, Node, to_value
from overseer.schema.objects import ListOf, Object
from overseer.schema.quantities import Integer, Seconds
from overseer.schema.types import BOOLEAN, Choice
from overseer.templates import compile_template
from overseer.util.durations import format_duration

if TYPE_CHECKING:
    from overseer.templates import Dialect

_T = TypeVar("_T", bound="_Probes")

Values = Mapping[str, str | bool]
"""Parameters as templates see them."""

_SLOW_S = 1.0  # between probes during a start_period, at most
_READY_S = 5.0  # that a probe of readiness may take, at least
_HEALTH_S = 3.0  # that a probe of health may take, by default


def compile_log(pattern: str) -> Callable[[str], bool]:
    """A function telling whether a line matches, in time linear in the line's length.

    Raises:
        ValueError: RE2 does not accept it.
    """
    from overseer.cel.operators import compile_pattern
    from overseer.cel.values import EvaluationError

    try:
        return compile_pattern(pattern)
    except EvaluationError as error:
        raise ValueError(str(error)) from None


class _Text(TemplateText):
    """A template whose result ``parse`` takes; the value is the text as it is in the file."""

    def __init__(self, label: str, parse: Callable[[str], object]) -> None:
        super().__init__(empty="expected text, found nothing")
        self.label = label
        self._parse = parse

    def from_yaml(self, node: Node, location: Location) -> Any:
        template = super().from_yaml(node, location)
        if not template.names:
            self._parse(template.render({}))
        return template.text


_HTTP = _Text("URL", parse_http)
_TCP = _Text("HOST:PORT", parse_tcp)


class _Word(TemplateText):
    """One of the words of a command line; the value is the text as it is in the file."""

    def from_yaml(self, node: Node, location: Location) -> Any:
        return super().from_yaml(node, location).text


_ARGV = ListOf(_Word())


@declared()
class _Probes:
    """What ``ready`` and ``health`` share. ``dialect`` and ``booleans`` say how templates are read."""

    dialect: Dialect = dataclasses.field(default="go", kw_only=True)
    booleans: frozenset[str] = dataclasses.field(default=frozenset(), kw_only=True)
    http: str = field(_HTTP, "A GET of this URL is answered with a status from 200 to 399.", default="")
    tcp: str = field(
        _TCP, "A connection to this address can be made; without a host, this machine.", default=""
    )
    exec: tuple[str, ...] = field(
        _ARGV,
        "A program and its arguments, run as the task's user, in its directory and with its environment, "
        "exits with 0.",
        default=(),
    )

    def texts(self) -> dict[str, str]:
        """The templates, by their keys; those of a list have a number."""
        found: dict[str, str] = {}
        for key in ("log", "http", "tcp"):
            if text := getattr(self, key, ""):  # only ready has a log
                found[key] = text
        return found | {f"exec.{number}": text for number, text in enumerate(self.exec)}

    def names(self) -> dict[str, frozenset[str]]:
        """The parameters that each of them may look up."""
        return {
            key: frozenset(compile_template(text, self.dialect, self.booleans).names)
            for key, text in self.texts().items()
        }

    def rendered(self, values: Values) -> dict[str, str]:
        """The texts for a task.

        Raises:
            ValueError: one cannot be rendered; the text begins with the key.
        """
        done = {}
        for key, text in self.texts().items():
            try:
                done[key] = compile_template(text, self.dialect, self.booleans).render(values)
            except TemplateError as error:
                raise ValueError(f"{key}: template: {error}") from None
        return done

    def kinds(self) -> str:
        """The probes, in words."""
        parts = [f"{key} {getattr(self, key)}" for key in ("log", "tcp", "http") if getattr(self, key, "")]
        if self.exec:
            parts.append(f"exec {shlex.join(self.exec)}")
        return ", ".join(parts)

    def targets(self, values: Values) -> tuple[Target, ...]:
        """What is probed for a task, in that order.

        Raises:
            ValueError: one of them cannot be probed; the text begins with the key.
        """
        rendered = self.rendered(values)
        found: list[Target] = []
        for key, parse in (("tcp", parse_tcp), ("http", parse_http)):
            if key in rendered:
                try:
                    found.append(parse(rendered[key]))
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
        argv = tuple(text for key, text in rendered.items() if key.startswith("exec."))
        return (*found, Program(argv)) if argv else tuple(found)


@declared()
class ReadyConfig(_Probes):
    """``ready``: when a run counts as ready; if there are several conditions, all must hold."""

    log: str = field(
        _Text("regular expression", compile_log),
        "A line of its output matches this, also one without an end so far; RE2's syntax, colours left out.",
        default="",
    )
    notify: bool = field(
        BOOLEAN, "It says so itself: `READY=1`, as sd_notify sends it to `NOTIFY_SOCKET`.", default=False
    )
    after: float = field(Seconds(zero=False), "It has run for this long.", default=0.0, default_text="none")
    timeout: float = field(
        Seconds(zero=False),
        "A run that is not ready after this long is reported (`not_ready`). Probing goes on, and nothing is "
        "stopped.",
        default=60.0,
    )
    interval: float = field(
        Seconds(zero=False), "The time from the end of one probe (`http`, `tcp`, `exec`) to the next.",
        default=1.0,
    )  # fmt: skip

    @property
    def probe_timeout(self) -> float:
        """How long one probe may take, in seconds."""
        return max(_READY_S, self.interval)

    @property
    def awaited(self) -> frozenset[str]:
        """The conditions that are waited for rather than probed."""
        return frozenset(key for key in ("log", "notify", "after") if getattr(self, key))

    @property
    def described(self) -> str:
        """The same in words, as ``describe`` shows it."""
        own = ["notify"] if self.notify else []
        own += [f"after {_words(self.after)}"] if self.after else []
        return f"{', '.join(filter(None, [self.kinds(), *own]))}; within {_words(self.timeout)}"

    def matcher(self, values: Values) -> Callable[[str], bool] | None:
        """A function telling whether a line of the task is the one awaited; None: none is.

        Raises:
            ValueError: it is not a regular expression; the text begins with the key.
        """
        pattern = self.rendered(values).get("log")
        if pattern is None:
            return None
        try:
            return compile_log(pattern)
        except ValueError as error:
            raise ValueError(f"log: {error}") from None


@declared()
class HealthConfig(_Probes):
    """``health``: whether a run still works, probed for as long as it lasts, once it is ready."""

    interval: float = field(
        Seconds(zero=False), "The time from the end of one probe to the next.", default=10.0
    )
    timeout: float = field(
        Seconds(zero=False),
        "How long a probe may take.",
        default=0.0,
        default_text="`3s`",
    )
    failures: int = field(Integer(1), "How many failures in a row make it unhealthy.", default=3)
    successes: int = field(Integer(1), "How many successes in a row make it healthy.", default=1)
    start_period: float = field(
        Seconds(),
        "For this long from its start failures do not count, unless it has been healthy; until then it is "
        "probed every second.",
        default=0.0,
        default_text="none",
    )
    on_failure: str = field(
        Choice("restart", "none"),
        "What happens to an unhealthy run: it is stopped, which is a failure, so that `retry` decides what "
        "follows (`restart`), or it goes on (`none`).",
        default="restart",
    )

    @property
    def probe_timeout(self) -> float:
        """How long one probe may take, in seconds."""
        return self.timeout or _HEALTH_S

    @property
    def described(self) -> str:
        """The same in words, as ``describe`` shows it."""
        what = "stops it" if self.on_failure == "restart" else "makes it unhealthy"
        times = f"failure {self.failures} in a row" if self.failures > 1 else "a failure"
        return f"{self.kinds()} every {_words(self.interval)}; {times} {what}"

    @property
    def first_interval(self) -> float:
        """The interval while it may still be starting, in seconds."""
        return min(self.interval, _SLOW_S) if self.start_period else self.interval


def _words(seconds: float) -> str:
    return format_duration(round(seconds * 1e9))


def _ready(read: ReadyConfig, location: Location) -> ReadyConfig:
    probed = read.http or read.tcp or read.exec
    if not (probed or read.awaited or _failed(location)):
        location.error("no condition is given: log, http, tcp, exec, notify or after")
    if read.after and read.after >= read.timeout:
        location.at("after").warn("the run times out before it can be ready")
    if probed and read.interval > read.timeout:
        location.at("interval").warn("only one probe fits into its timeout")
    return _in_dialect(read, location)


def _health(read: HealthConfig, location: Location) -> HealthConfig:
    kinds = [key for key in ("http", "tcp", "exec") if getattr(read, key)]
    if not kinds and not _failed(location):
        location.error("no probe is given: http, tcp or exec")
    for key in kinds[1:]:
        location.at(key).error(f"there is {kinds[0]} already, and health takes one probe")
    if read.timeout > read.interval:
        location.at("timeout").warn("longer than interval: a probe that hangs delays the next one")
    return _in_dialect(read, location)


def _in_dialect(read: _T, location: Location) -> _T:
    return replace(read, dialect=location.report.templates, booleans=location.report.booleans)


def _failed(location: Location) -> bool:
    """Whether something was wrong with a key in it."""
    size = len(location.path)
    return any(error.path[:size] == location.path for error in location.report.errors)


_hint = hints_at("probe", ReadyConfig, HealthConfig)
READY = Object(ReadyConfig, _ready, hint=_hint)
HEALTH = Object(HealthConfig, _health, hint=_hint)


def check_probes(
    declared: object, ready: ReadyConfig | None, health: HealthConfig | None, location: Location
) -> None:
    """Report names that are not among the declared parameters of an action, and those of secrets."""
    specs = declared if isinstance(declared, Mapping) else {}
    for key, probes in (("ready", ready), ("health", health)):
        for within, names in probes.names().items() if probes is not None else ():
            steps = (int(step) if step.isdecimal() else step for step in within.split("."))
            here = location.at(key, *steps)
            for name in sorted(names):
                spec = specs.get(name)
                if name not in specs:
                    here.warn(f"uses {name!r}, which is not among the parameters")
                elif isinstance(spec, Mapping) and spec.get("type") == "secret":
                    here.error(f"{name} is a secret, which a probe would show")


@contextmanager
def booleans_of_action(node: Node, report: Report) -> Iterator[None]:
    """While entered, templates are read knowing which of the action's parameters are booleans."""
    found: Node | None = node
    for key in ("config", "parameters"):
        entry = found.entries.get(key) if isinstance(found, MapNode) else None
        found = None if entry is None else entry.node
    report.booleans = frozenset() if found is None else booleans_of(to_value(found))
    try:
        yield
    finally:
        report.booleans = frozenset()


def booleans_of(declared: object) -> frozenset[str]:
    """The parameters that are declared to be booleans, found before the templates that use them are read."""
    specs = declared.items() if isinstance(declared, Mapping) else ()
    return frozenset(
        str(name) for name, spec in specs if isinstance(spec, Mapping) and spec.get("type") == "boolean"
    )


def values_of_start(declared: Mapping[str, ParamSpec | None], params: Mapping[str, str]) -> Values:
    """A start's parameters, with defaults, as templates see them."""
    specs = {name: spec for name, spec in declared.items() if spec is not None}
    defaults = {name: spec.default for name, spec in specs.items() if spec.default is not None}
    return template_values(specs, {**defaults, **params})


def check_start(ready: ReadyConfig | None, health: HealthConfig | None, values: Values) -> None:
    """Check that a run with these parameters can be probed.

    Raises:
        ValidationError: it cannot, and why.
    """
    for key, probes in (("ready", ready), ("health", health)):
        try:
            if probes is not None:
                probes.targets(values)
            if isinstance(probes, ReadyConfig):
                probes.matcher(values)
        except ValueError as error:
            raise ValidationError(f"{key}.{error}") from None
