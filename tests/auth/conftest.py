"""Certificates, made once: an authority, a server's, and clients' of this authority and of another."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


class Certificates:
    """Files in a directory: ``NAME.crt`` and ``NAME.key``; ``ca`` and ``strangers`` are authorities."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for authority in ("ca", "strangers"):
            self._openssl(
                "req", "-x509", "-nodes", "-days", "30", "-subj", f"/CN={authority}",
                *self._new_key(authority), "-out", f"{authority}.crt",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            )  # fmt: skip
        self.issue("server", "ca", "DNS:localhost,IP:127.0.0.1")
        self.issue("second", "ca", "DNS:localhost,IP:127.0.0.1")
        self.issue("by-name", "ca", "DNS:whatever", common_name="viewer-all")
        self.issue("by-san", "ca", "DNS:robot,email:operator-mine")
        self.issue("nobody", "ca", "DNS:robot")
        self.issue("stranger", "strangers", "DNS:viewer-all", common_name="viewer-all")

    def issue(self, name: str, authority: str, names: str, common_name: str = "") -> None:
        self._openssl(
            "req", "-nodes", "-subj", f"/CN={common_name or name}", *self._new_key(name), "-out", "csr"
        )
        (self.directory / "extensions").write_text(f"subjectAltName={names}\n")
        self._openssl(
            "x509", "-req", "-in", "csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "30", "-out", f"{name}.crt", "-extfile", "extensions",
        )  # fmt: skip

    def path(self, name: str) -> str:
        return str(self.directory / name)

    def _new_key(self, name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", f"{name}.key")

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=30
        )


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
