"""Hash functions without OpenSSL, which takes 5 MB and which only TLS and signatures need.

``hashlib`` loads it, so this takes the interpreter's modules behind ``hashlib``, as the standard library's
``random`` does, and ``hashlib`` where they are not built in.
"""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib import blake2b, sha1, sha256

__all__ = ["blake2b", "load_without_openssl", "sha1", "sha256"]


def _found(name: str, *modules: str) -> Any:
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            pass
    return getattr(importlib.import_module("hashlib"), name)


if not TYPE_CHECKING:
    blake2b = _found("blake2b", "_blake2")
    sha1 = _found("sha1", "_sha1")
    sha256 = _found("sha256", "_sha2", "_sha256")


_leaving = threading.Lock()  # unranked: nothing is taken under it


class _Later(ModuleType):
    """Stands in for a module until something of it is used."""

    sha1 = staticmethod(sha1)  # all of hashlib that wsproto and jinja2 use here

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def leave(self) -> None:
        """Let whoever imports it from now on have the module itself."""
        with _leaving:  # another thread may use it, or import the module itself, at the same time
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]


def load_without_openssl(name: str) -> Any:
    """Import a library that imports ``hashlib`` or ``ssl``, which are then loaded when it uses more of them
    than SHA-1; returns it."""
    ours = [_Later(each) for each in ("hashlib", "ssl") if each not in sys.modules]
    sys.modules.update({each.__name__: each for each in ours})
    try:
        return importlib.import_module(name)
    finally:
        for each in ours:
            each.leave()
