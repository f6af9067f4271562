"""The first stage of an upgrade: runs the new program, and goes back to the old one if that fails.

It is the old program's, which keeps its text in memory, and uses the standard library alone: so it does not
matter what an installation has made of the files. Until the new program says that it has taken over
(:meth:`Stage.commit`), whatever it does is undone: should it fail, end or hang, the descriptors are put back,
and the old program is executed from the copy that it has kept of itself.

    python [options] /proc/self/fd/N PROGRAM [arguments]        with OVERSEER_HANDOVER in the environment

Before that, the new program is tried out in a child, by the same file. What the child has compiled is kept
for the second time, when everybody waits: it is more than half of what the imports take.
"""

from __future__ import annotations

import dataclasses
import fcntl
import gc
import json
import marshal
import os
import runpy
import signal
import sys
import traceback
from contextlib import suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn

VARIABLE = "OVERSEER_HANDOVER"
NAME = "overseer_first_stage"
"""As which the new program finds this module."""

_KEPT_ABOVE = 64  # copies of descriptors get greater numbers


class Stage:
    """One execution of this file.

    Args:
        said: what the old program says: see :func:`overseer.upgrade.succession.replace_by`.
    """

    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self._over = False
        self._copies: dict[int, int] = {}  # of the descriptors handed over, by number
        self._compiled = Compiled({}, {})

    def run(self) -> None:
        """Run the new program, or the old one again."""
        if self._said.get("rehearsal"):  # in a child, which nobody goes back from
            self._try_new()
        if self._said.get("failure"):
            self._run_old()
            return
        for number in self._said["descriptors"]:
            self._copies[number] = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _KEPT_ABOVE)
        signal.signal(signal.SIGALRM, self._late)
        signal.setitimer(signal.ITIMER_REAL, self._said["deadline"])
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        gc.disable()  # loading makes no garbage, and everybody waits for it
        try:
            self._compiled = Compiled.read(self._said["compiled"])
            self._compiled.use()
            self._run_new()
        except BaseException as error:
            if self._over:
                raise
            told = "".join(traceback.format_exception_only(error)).strip()
            if isinstance(error, SystemExit):
                told = error.code if isinstance(error.code, str) else f"it ended with status {error.code}"
            self._go_back(told)
        if not self._over:
            self._go_back("it ended")

    def commit(self) -> None:
        """The new program has taken over."""
        self._over = True
        gc.enable()
        self._compiled.drop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for fd in (*self._copies.values(), self._said["archive"], self._said["stage"]):
            os.close(fd)
        self._copies.clear()

    def _late(self, number: int, frame: Any) -> None:
        where = "".join(traceback.format_stack(frame)[-1:]).strip()
        self._go_back(f"it has not taken over within {self._said['deadline']:g} s: {where}")

    def _go_back(self, why: str) -> None:
        """Execute the old program."""
        if self._over:
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        for number, copy in self._copies.items():
            os.dup2(copy, number, inheritable=True)
        for number in (self._said["state"], self._said["archive"], self._said["stage"]):
            os.set_inheritable(number, True)
        said = json.dumps({**self._said, "failure": f"the new program has failed: {why}"})
        script = f"/proc/self/fd/{self._said['stage']}"
        command = [sys.executable, *self._said["options"], script, *self._said["rest"]]
        os.execve(sys.executable, command, {**os.environb, VARIABLE.encode(): said.encode()})

    def _try_new(self) -> NoReturn:
        """In the child: run the new program, and keep what it has compiled."""
        self._compiled.record()
        try:
            self._run_new()
        except SystemExit as end:
            if end.code:
                raise
        with suppress(Exception):  # without it, all is compiled again
            self._compiled.write(self._said["compiled"])
        os._exit(0)  # whatever threads it has

    def _run_new(self) -> None:
        kind, target = self._said["kind"], self._said["target"]
        self._prepare(str(Path(target).absolute().parent if kind == "script" else Path.cwd()))
        if kind == "script":
            sys.argv[0] = target
            runpy.run_path(target, run_name="__main__")
        elif kind == "module":
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            sys.argv[0] = "-c"
            exec(compile(target, "<string>", "exec"), {"__name__": "__main__"})

    def _run_old(self) -> None:
        import tempfile

        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        place = tempfile.mkdtemp(prefix="overseer-program-", dir=memory)
        _extract(self._said["archive"], Path(place))
        self._prepare(place)
        if self._said["kind"] == "script":  # modules beside the program
            sys.path.insert(1, str(Path(self._said["target"]).absolute().parent))
        sys.argv[0] = self._said["target"]
        self._over = True
        for fd in (self._said["archive"], self._said["stage"]):
            os.close(fd)
        if Path(place, "program.py").exists():
            runpy.run_path(f"{place}/program.py", run_name="__main__")
        else:
            runpy.run_module("overseer", run_name="__main__", alter_sys=True)

    def _prepare(self, first: str) -> None:
        """Have the interpreter be as if the program had been started by itself; ``first``: where modules are
        looked for first."""
        sys.orig_argv[:] = [sys.orig_argv[0], *self._said["options"], *self._said["rest"]]
        sys.argv[:] = ["", *self._said["arguments"]]
        if not sys.flags.safe_path:
            sys.path[0] = first
        elif self._said.get("failure"):
            sys.path.insert(0, first)


class Compiled:
    """The code of modules and of dataclasses' methods, which the module `dataclasses` compiles one by one.

    Args:
        modules: name -> path, size and time of the file, and its code.
        texts: text -> its code.
    """

    def __init__(
        self, modules: dict[str, tuple[str, int, int, CodeType]], texts: dict[str, CodeType]
    ) -> None:
        self._modules = modules
        self._texts = texts

    @classmethod
    def read(cls, file: int) -> Compiled:
        """What was written to a descriptor, which is closed; nothing, if this is another Python."""
        try:
            data = os.pread(file, os.fstat(file).st_size, 0)
            version, modules, texts = marshal.loads(data)
            return cls(modules, texts) if version == sys.version else cls({}, {})
        except (ValueError, TypeError, EOFError, OSError):
            return cls({}, {})
        finally:
            os.close(file)

    def write(self, file: int) -> None:
        """Write it, with all modules that are loaded, to a descriptor."""
        for name, module in sys.modules.copy().items():
            spec = getattr(module, "__spec__", None)
            if spec is None or spec.name != name or type(spec.loader) is not SourceFileLoader:
                continue
            about, code = Path(spec.loader.path).stat(), spec.loader.get_code(name)
            if code is not None:
                self._modules[name] = spec.loader.path, about.st_size, about.st_mtime_ns, code
        with open(file, "wb", closefd=False) as out:
            marshal.dump((sys.version, self._modules, self._texts), out)

    def record(self) -> None:
        """Keep what is compiled from now on."""

        def record(text: str, *scopes: Any) -> None:
            self._texts[text] = code = compile(text, "<string>", "exec")
            exec(code, *scopes)

        dataclasses.exec = record  # type: ignore[attr-defined]

    def use(self) -> None:
        """Have it found instead of compiled again."""

        def execute(text: str, *scopes: Any) -> None:
            exec(self._texts.get(text, text), *scopes)

        dataclasses.exec = execute  # type: ignore[attr-defined]
        sys.meta_path.insert(0, self)

    def drop(self) -> None:
        """Undo :meth:`use`, and forget it."""
        del dataclasses.exec  # type: ignore[attr-defined]
        sys.meta_path.remove(self)
        self._modules, self._texts = {}, {}

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """The part of an importer that finds a module. A file that has changed is not taken from here."""
        if name not in self._modules:
            return None
        file, size, changed, code = self._modules[name]
        try:
            about = Path(file).stat()
        except OSError:
            return None
        if (about.st_size, about.st_mtime_ns) != (size, changed):
            return None
        return spec_from_file_location(name, file, loader=_Loader(name, file, code))


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code: CodeType | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        code, self._code = self._code, None  # needed once
        return code or super().get_code(fullname)


def _extract(archive: int, place: Path) -> None:
    """Restore the files of an archive; see :class:`overseer.upgrade.package.Package`."""
    data = os.pread(archive, os.fstat(archive).st_size, 0)
    at = 0
    for name, size in json.loads(data[data.rindex(b"\n") :]):
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data[at : at + size])
        at += size


if __name__ == "__main__":
    STAGE = Stage(json.loads(os.environ[VARIABLE]))
    sys.modules[NAME] = sys.modules["__main__"]
    STAGE.run()
