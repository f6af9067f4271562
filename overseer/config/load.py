"""From a file and an environment to a Config."""

from __future__ import annotations

import codecs
import errno
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from overseer.config.model import ROOT, Config
from overseer.config.report import Report, Spot
from overseer.config.schema import keys_of
from overseer.config.tree import MapNode, Scalar, describe_node, parse_yaml, without_texts
from overseer.errors import ConfigError
from overseer.util.files import read_once, read_small

__all__ = ["load_config", "parse_config", "read_config"]

MAX_FILE = 4 * 2**20  # bytes; a file this long is no configuration
# What YAML may be besides UTF-8, by its first bytes; the longer ones first.
_WIDE = {
    **{codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"},
    **{codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"},
}
_PATIENCE = 10.0  # seconds for whoever writes into a pipe that a configuration is read from


def load_config(path: str | Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration at ``path``; what ``env`` says (OVERSEER_LISTEN and so on) beats the file.

    No such file: the defaults, with a warning. ``Config.warnings`` has all warnings.

    Raises:
        ConfigError: as :func:`read_config` and :func:`parse_config` do.
    """
    return parse_config(path, read_config(path), env)


def read_config(path: str | Path, *, again: bool = False) -> bytes | None:
    """The file's bytes; None when there is no file.

    Args:
        again: whether this is not the first time; then it must be a regular file, since of anything else
            (a pipe, ``/dev/stdin``) there is nothing left.

    Raises:
        ConfigError: it cannot be read, or is too long.
    """
    try:
        data = read_small(str(path), MAX_FILE).data if again else read_once(str(path), MAX_FILE, _PATIENCE)
    except FileNotFoundError:
        if not Path(path).is_symlink():
            return None
        raise ConfigError("cannot be read: it is a link to nothing", file=str(path)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if again and isinstance(error, OSError) and error.errno in (errno.EINVAL, errno.ENXIO):
            reason = "it is not a regular file, and what came out of it at the start is gone"
        raise ConfigError(f"cannot be read: {reason}", file=str(path)) from None
    if len(data) > MAX_FILE:
        raise ConfigError(f"longer than {MAX_FILE // 2**20} MiB, which is no configuration", file=str(path))
    return data


def parse_config(path: str | Path, data: bytes | None, env: Mapping[str, str] = os.environ) -> Config:
    """The configuration that these bytes of the file at ``path`` are; None: the defaults, with a warning.

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
    config: Config = ROOT.read(tree, Spot(report, (), 1))
    config = replace(config, **_overrides(env, report))
    report.raise_errors()
    return replace(
        config,
        file="" if data is None else report.file,
        tree=None if data is None else without_texts(tree),
        warnings=report.warning_texts(),
        unknown=tuple(report.unknown),
    )


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
            f"not UTF-8: the byte {data[error.start]:#04x} is no part of a character",
            file=report.file,
            line=line,
        ) from None


def _overrides(env: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Fields of Config that the environment sets."""
    values: dict[str, Any] = {}
    for known in keys_of(Config):
        text = env.get(known.env, "") if known.env else ""
        if text:
            spot = Spot(report, (known.env,))
            try:
                values[known.name] = known.kind.read(Scalar(text, "str", False, 0), spot)
            except ValueError as error:
                spot.error(str(error))
    return values
