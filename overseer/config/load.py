"""From a file and an environment to a Config."""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from overseer.config.chains import check_chains
from overseer.config.listen import parse_listen
from overseer.config.model import ROOT, Config
from overseer.config.notices import check_notices
from overseer.config.retry_lint import retry_problems
from overseer.config.standing import check_standing
from overseer.config.webhooks import check_webhooks
from overseer.config.yaml_tree import parse_yaml
from overseer.errors import ConfigError
from overseer.protocol import RetryPolicy
from overseer.schema.fields import fields_of
from overseer.schema.location import ErrorCollector, Location, Report
from overseer.schema.nodes import MapNode, Scalar, describe_node, line_of, without_texts
from overseer.util.files import read_once, read_small

MAX_FILE = 4 * 2**20  # bytes; a file this long is not a configuration
# What YAML may be other than UTF-8, by its first bytes; the longer ones first.
_WIDE = {
    **{codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"},
    **{codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"},
}
_PATIENCE = 10.0  # seconds for the writer of a pipe that the configuration is read from


def load_config(path: str | Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration at ``path``; variables in ``env`` (OVERSEER_LISTEN and so on) override the file.

    Without such a file, the defaults are used, with a warning. ``Config.warnings`` has all warnings.

    Raises:
        ConfigError: as :func:`read_config` and :func:`parse_config` do.
    """
    return parse_config(path, read_config(path), env)


def read_config(path: str | Path, *, again: bool = False) -> bytes | None:
    """The file's bytes; None when it does not exist.

    Args:
        again: whether it has been read before; then it must be a regular file, since anything else (a
            pipe, ``/dev/stdin``) is used up.

    Raises:
        ConfigError: it cannot be read, or is too long.
    """
    try:
        data = read_small(str(path), MAX_FILE).data if again else read_once(str(path), MAX_FILE, _PATIENCE)
    except FileNotFoundError:
        if not Path(path).is_symlink():
            return None
        raise ConfigError("cannot be read: it is a dangling link", file=str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if again and isinstance(error, OSError) and error.errno in (errno.EINVAL, errno.ENXIO):
            reason = "it is not a regular file, so it cannot be read a second time"
        raise ConfigError(f"cannot be read: {reason}", file=str(path)) from None
    if len(data) > MAX_FILE:
        raise ConfigError(
            f"longer than {MAX_FILE // 2**20} MiB, which is not a configuration", file=str(path)
        )
    return data


def parse_config(
    path: str | Path,
    data: bytes | None,
    env: Mapping[str, str] = os.environ,
    *,
    further: Callable[[Config], object] = lambda config: None,
) -> Config:
    """The configuration in these bytes of the file at ``path``; None: the defaults, with a warning.

    Args:
        further: a check that follows. It is made here, of what is usable, where something is wrong with the
            file, so that what it finds (ConfigError) is reported with that.

    Raises:
        ConfigError: the file cannot be read or used; a ConfigErrors when more than one thing is wrong.
            Its text is a plain line for each, with file, line and key.
    """
    report = Report(str(path))
    if data is None:
        report.warnings.append(
            ConfigError("no such file; the defaults are used, without actions", file=report.file)
        )
    text = "" if data is None else _decode(data, report)
    tree = parse_yaml(text, report)
    if tree is None:
        tree = MapNode({}, 1)
    elif not isinstance(tree, MapNode):
        raise ConfigError(
            f"expected keys such as `listen:` and `actions:`, found {describe_node(tree)}",
            file=report.file, line=tree.line,
        )  # fmt: skip
    report.templates = _dialect(tree)
    report.line_of = partial(line_of, tree)
    top = Location(report, (), 1)
    config: Config = ROOT.from_yaml(tree, top)
    config = replace(config, **_overrides(env, report))
    check_chains({name: action.then for name, action in config.actions.items()}, top.at("actions"))
    check_standing(config.tasks, config.actions, top.at("tasks"))
    check_notices(config.channels, config.notify, config.secrets, top)
    check_webhooks(
        config.webhooks,
        config.actions,
        config.secrets,
        parse_listen(config.listen),
        top.at("webhooks"),
        encrypted=bool(config.tls.cert),
    )
    config = replace(
        config,
        file="" if data is None else report.file,
        source=data,
        tree=None if data is None else without_texts(tree),
    )
    if report.errors:
        collector = ErrorCollector()
        with collector.step():
            further(_usable(config, top))
        report.errors += collector.errors
    report.raise_errors()
    _check_restarts(config, report)
    return replace(config, warnings=report.warning_texts(), unknown=tuple(report.unknown))


def _dialect(tree: MapNode) -> Literal["go", "jinja"]:
    """The language of the file's templates, which has to be known before they are read."""
    entry = tree.entries.get("templates")
    jinja = entry is not None and isinstance(entry.node, Scalar) and entry.node.text == "jinja"
    return "jinja" if jinja else "go"


def _usable(config: Config, top: Location) -> Config:
    """A configuration with errors, without the actions that could seem wrong because of these."""
    known = not any(error.path[:1] in (("templates",), ("secrets",)) for error in top.report.errors)
    actions = {
        name: action
        for name, action in config.actions.items()
        if known and action.type and not any(map(top.at("actions", name).has_error, ("type", "config")))
    }
    return replace(config, actions=actions)


def _check_restarts(config: Config, report: Report) -> None:
    """Warn about merged retry policies, each where it was last changed."""
    places: dict[tuple[str, ...], RetryPolicy] = {("retry",): config.retry}
    for name, action in config.actions.items():
        if not action.retry.empty:
            places["actions", name, "retry"] = config.retry_for(name)
    for name, task in config.tasks.items():
        if not task.retry.empty:
            places["tasks", name, "retry"] = config.standing_retry(task)
    for path, policy in places.items():
        for problem in retry_problems(policy):
            report.warnings.append(config.placed(ConfigError(problem), *path))


def _decode(data: bytes, report: Report) -> str:
    for mark, encoding in _WIDE.items():
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                problem = f"begins like {encoding.upper()} and is not"
                raise ConfigError(problem, file=report.file, line=1) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"not UTF-8: the byte {data[error.start]:#04x} is not part of a character",
            file=report.file,
            line=line,
        ) from None


def _overrides(env: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Fields of Config that the environment sets."""
    values: dict[str, Any] = {}
    for known in fields_of(Config):
        text = env.get(known.env, "") if known.env else ""
        if text:
            location = Location(report, (known.env,))
            try:
                values[known.name] = known.type.from_yaml(Scalar(text, "str", False, 0), location)
            except ValueError as error:
                location.error(str(error))
    return values
