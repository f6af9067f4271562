"""From a file and an environment to a Config."""

from __future__ import annotations

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

__all__ = ["load_config"]

MAX_FILE = 4 * 2**20  # bytes; a file this long is no configuration


def load_config(path: str | Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration at ``path``; what ``env`` says (OVERSEER_LISTEN and so on) beats the file.

    No such file: the defaults, with a warning. ``Config.warnings`` has all warnings.

    Raises:
        ConfigError: the file cannot be read or used; a ConfigErrors when more than one thing is wrong.
            Its text is a plain line for each, with file, line and key.
    """
    report = Report(str(path))
    data = _read(Path(path), report)
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
    )


def _read(path: Path, report: Report) -> bytes | None:
    """The file's bytes; None, and a warning, when there is no file."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        report.warnings.append(
            ConfigError("no such file; the defaults are used, without actions", file=report.file)
        )
        return None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(f"cannot be read: {reason}", file=report.file) from None
    if len(data) > MAX_FILE:
        raise ConfigError(f"longer than {MAX_FILE // 2**20} MiB, which is no configuration", file=report.file)
    return data


def _decode(data: bytes, report: Report) -> str:
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
