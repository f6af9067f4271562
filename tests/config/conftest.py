"""Loading a text as if it were a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from overseer.config import Config, load_config
from overseer.errors import ConfigError

Load = Callable[..., Config]
Fails = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """``load(text, env={})``: the Config that a file with ``text`` gives."""

    def loaded(text: str | bytes, env: Mapping[str, str] | None = None) -> Config:
        file = tmp_path / "config.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load_config(file, env or {})

    return loaded


@pytest.fixture
def fails(load: Load, tmp_path: Path) -> Fails:
    """``fails(text, env={})``: the lines of the error, with ``c`` for the file's path."""

    def failed(text: str | bytes, env: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text, env)
        return str(caught.value).replace(str(tmp_path / "config.yaml"), "c").split("\n")

    return failed
