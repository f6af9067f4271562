"""What a program that is tried out has compiled is kept for the second time, when everybody waits: it is most
of what its imports take.

A part of the first stage, which uses the standard library alone.
"""

from __future__ import annotations

import dataclasses
import marshal
import mmap
import os
import re
import sys
from contextlib import suppress
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

_re: Any = re  # whose inner modules have no types
_compile_pattern = _re._compiler.compile


class Compiled:
    """The code of modules, of regular expressions, and of dataclasses' methods, which are compiled one by
    one.

    Attributes:
        findings: what else the program has found out, and what it has been told of it.
    """

    def __init__(self) -> None:
        self._modules: dict[str, _Module] = {}
        self._codes = memoryview(b"")
        self._texts: dict[str, CodeType] = {}
        self._patterns: dict[tuple[str | bytes, int], tuple[Any, ...]] = {}  # with what they are made again
        self.findings: dict[Any, Any] = {}

    @classmethod
    def read(cls, file: int) -> Compiled:
        """What was written to a descriptor, which is closed; nothing, if there is none, or this is another
        Python. Without the modules whose files have changed, and then without findings."""
        self = cls()
        try:
            data = memoryview(mmap.mmap(file, 0, prot=mmap.PROT_READ))
            version, *parts = marshal.loads(data)
            if version == sys.version:
                size, modules, self._texts, self._patterns, findings = parts
                found = ((name, _Module(*each)) for name, each in modules.items())
                self._modules = {name: each for name, each in found if each.is_there()}
                self.findings = findings if len(self._modules) == len(modules) else {}
                self._codes = data[-size:]
        except (ValueError, TypeError, EOFError, OSError):
            pass
        finally:
            with suppress(OSError):
                os.close(file)
        return self

    def write(self, file: int) -> None:
        """Write it, with all modules that are loaded, to a descriptor."""
        modules, codes = {}, bytearray()
        for name, module in sys.modules.copy().items():
            spec = getattr(module, "__spec__", None)
            if spec is None or spec.name != name:
                continue
            code = b""
            if type(spec.loader) is SourceFileLoader:
                code = marshal.dumps(spec.loader.get_code(name))
            elif type(spec.loader) is not ExtensionFileLoader:
                continue
            path, is_package = spec.loader.path, spec.submodule_search_locations is not None
            about, place = Path(path).stat(), (len(codes), len(codes) + len(code))
            modules[name] = path, about.st_size, about.st_mtime_ns, spec.cached, is_package, *place
            codes += code
        parts = len(codes), modules, self._texts, self._patterns, self.findings
        with open(file, "wb", closefd=False) as out:
            marshal.dump((sys.version, *parts), out)
            out.write(codes)

    def record(self) -> None:
        """Keep what is compiled from now on."""

        def record(text: str, *scopes: Any) -> None:
            self._texts[text] = code = compile(text, "<string>", "exec")
            exec(code, *scopes)

        dataclasses.exec = record  # type: ignore[attr-defined]

        def compile_pattern(text: Any, flags: int) -> Any:
            made = _compile_pattern(text, flags)
            with suppress(Exception):  # another Python does it in another way
                parsed = _re._parser.parse(text, flags)
                names = parsed.state.groupdict
                groups = [None, *([None] * (parsed.state.groups - 1))]
                for name, number in names.items():
                    groups[number] = name
                code = [int(each) for each in _re._compiler._code(parsed, flags)]
                known = text, made.flags, code, len(groups) - 1, names, tuple(groups)
                self._patterns[text, int(flags)] = known  # marshal cannot write flags of an enum
            return made

        _re._compiler.compile = compile_pattern

    def use(self) -> None:
        """Have it found instead of compiled again."""

        def execute(text: str, *scopes: Any) -> None:
            exec(self._texts.get(text, text), *scopes)

        def compile_pattern(text: Any, flags: int) -> Any:
            known = self._patterns.get((text, flags))
            return _compile_pattern(text, flags) if known is None else _re._compiler._sre.compile(*known)

        dataclasses.exec = execute  # type: ignore[attr-defined]
        _re._compiler.compile = compile_pattern
        sys.meta_path.insert(0, self)

    def drop(self) -> None:
        """Undo :meth:`use`, and forget it."""
        if self in sys.meta_path:
            del dataclasses.exec  # type: ignore[attr-defined]
            _re._compiler.compile = _compile_pattern
            sys.meta_path.remove(self)
        self.__init__()  # type: ignore[misc]

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The part of an importer that finds a module."""
        module = self._modules.get(name)
        return None if module is None else module.spec(name, self._codes)


class _Module(NamedTuple):
    """A module's file, as it was; and the place of its code: empty, if that is not Python's."""

    path: str
    size: int
    changed: int
    cached: str | None
    is_package: bool
    begin: int
    end: int

    def is_there(self) -> bool:
        try:
            about = os.stat(self.path)  # noqa: PTH116 - hundreds of them, while everybody waits
        except OSError:
            return False
        return (about.st_size, about.st_mtime_ns) == (self.size, self.changed)

    def spec(self, name: str, codes: memoryview) -> ModuleSpec:
        """As the usual way of finding it makes it."""
        code = codes[self.begin : self.end]
        loader = _Loader(name, self.path, code) if code else ExtensionFileLoader(name, self.path)
        spec = ModuleSpec(name, loader, origin=self.path, is_package=self.is_package)
        spec.has_location, spec.cached = True, self.cached
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(self.path.rpartition("/")[0])
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: memoryview) -> None:
        super().__init__(name, path)
        self._code: memoryview | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        code, self._code = self._code, None  # needed once
        return super().get_code(fullname) if code is None else marshal.loads(code)
