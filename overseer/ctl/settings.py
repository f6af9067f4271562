"""Which server, and as whom: options, then variables, then a file."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from overseer.client import DEFAULT_URL, Address, Client, ConnectFailedError, parse_url
from overseer.ctl.terminal import say
from overseer.errors import OverseerError

if TYPE_CHECKING:
    import ssl

# A line of the file, which is YAML of the simplest kind: no program that it needs has to be installed.
_LINE = re.compile(r"""(\w+):(?:\s+(?:"([^"\\]*)"|'((?:[^']|'')*)'|(\S.*?)))?(?:\s+#.*)?\s*""")
NAMES = ("url", "token", "ca", "cert", "key")


class Settings:
    """What a command needs to reach its server.

    Raises:
        OverseerError: something in it cannot be used.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        file, found = _file()
        self._from_file = found
        self._options = options
        self.url = self._get("url") or DEFAULT_URL
        address = _address(self.url)
        self.token = self._get("token")
        self._withheld = ""  # why the file's token is not sent
        if self.token and not self._given("token"):
            # The file's token is for the file's server alone, not for one that --url or a variable names.
            of_file = found.get("url") or DEFAULT_URL
            if address != _address(of_file):
                self.token = ""
                self._withheld = f" (the one in {file} is for {of_file})"
        if not (self.token.isascii() and self.token.isprintable()) or " " in self.token:
            raise OverseerError("the token contains spaces or non-ASCII characters")
        if found.get("token") and file.stat().st_mode & 0o077:
            say(f"{file} contains a token and is readable by others; run chmod 600 {file}")
        self._tls = _tls(self._get("ca"), self._get("cert"), self._get("key"))
        self._reconnect: float = getattr(options, "reconnect", 30.0)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of another overseerctl for the same server."""
        found = {"url": self.url, "token": self.token}
        found |= {name: self._get(name) for name in ("ca", "cert", "key")}
        return {**os.environ, **{f"OVERSEER_{name.upper()}": value for name, value in found.items() if value}}

    def connect(self, *, timeout: float = 10.0, reconnect: float | None = None) -> Client:
        """A client; raises ConnectFailedError, with what to do next."""
        try:
            return Client(
                self.url,
                token=self.token,
                tls=self._tls,
                timeout=timeout,
                reconnect=self._reconnect if reconnect is None else reconnect,
                on_notice=say,
            )
        except ConnectFailedError as error:
            raise ConnectFailedError(f"{error}{self._advice(error)}", error.status) from None

    def _get(self, name: str) -> str:
        given = self._given(name)
        return given if given is not None else self._from_file.get(name, "")

    def _given(self, name: str) -> str | None:
        """The value of an option or a variable; an empty variable counts as unset, as in other programs."""
        given: str | None = getattr(self._options, name, None)
        return given if given is not None else os.environ.get(f"OVERSEER_{name.upper()}") or None

    def _advice(self, error: ConnectFailedError) -> str:
        if error.status == 401:
            return f": set OVERSEER_TOKEN, or give one with --token{self._withheld}"
        if error.status == 0 and str(error).startswith("cannot connect") and "TLS" not in str(error):
            return (
                ". Start a server (sticky-overseer, or make run), or name another one with --url or "
                "OVERSEER_URL."
            )
        return ""


def _address(url: str) -> Address:
    """A URL's address, however it is written. Raises OverseerError."""
    return replace(parse_url(url), url="")


def _file() -> tuple[Path, Mapping[str, str]]:
    """The file's path, and its settings, if it exists."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    path = Path(os.environ.get("OVERSEERCTL_CONFIG") or f"{home}/overseerctl.yaml")
    try:
        path = path.expanduser()
        text = path.read_text("utf-8-sig")
    except RuntimeError:  # unknown home directory
        return path, {}
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get("OVERSEERCTL_CONFIG"):
            raise OverseerError(f"{path}: no such file (named by OVERSEERCTL_CONFIG)") from None
        return path, {}
    except (OSError, UnicodeDecodeError) as error:
        raise OverseerError(f"cannot read {path}: {error}") from None
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or line.strip() == "---":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise OverseerError(f"{path}:{number}: expected NAME: VALUE, such as url: {DEFAULT_URL}")
        name, double, single, bare = match.groups()
        if name in found:
            raise OverseerError(f"{path}:{number}: {name} is given twice")
        if bare and bare[0] in "[{&*!|>%@`\"'":
            raise OverseerError(f"{path}:{number}: {name} must be a string")
        found[name] = double or (single or "").replace("''", "'") or (bare or "").strip()
    for name, value in found.items():
        if name not in NAMES:
            raise OverseerError(f"{path}: {name} is not a setting; the settings are {', '.join(NAMES)}")
        if not value:
            raise OverseerError(f"{path}: {name} is empty; leave it out")
    return path, found


def _tls(ca: str, cert: str, key: str) -> ssl.SSLContext | None:
    """Which certificates to trust and present; None: the system's, and none."""
    if key and not cert:
        raise OverseerError(f"the key {key} needs its certificate (--cert or OVERSEER_CERT)")
    if not ca and not cert:
        return None
    import ssl

    file = ca
    try:
        context = ssl.create_default_context(cafile=ca or None)
        if cert:
            file = cert
            context.load_cert_chain(cert, key or None)
    except OSError as error:
        raise OverseerError(f"cannot use {file}: {error.strerror or error}") from None
    return context
