"""A server with the driver of a test's class: ``python -m overseer.testing.program PLACE ARGUMENTS...``.

PLACE is JSON: ``path``, for imports; the ``module`` of the class, its ``file``, and its name, ``kind``. The
arguments are the server's.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from types import ModuleType

from overseer.daemon.cli import run_cli
from overseer.drivers.api import list_handlers, register_factory
from overseer.testing.script import Behaviours


def main() -> int:
    place = json.loads(sys.argv[1])
    sys.path[:] = place["path"]
    kind: type[Behaviours] = getattr(_module(place["module"], place["file"]), place["kind"])
    factory = kind().driver()
    if factory.type not in list_handlers():  # unless its module has registered one
        register_factory(factory)
    return run_cli("1.0.0", "contract", sys.argv[2:])


def _module(name: str, file: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:  # pytest has ways of its own to find it
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module


if __name__ == "__main__":
    sys.exit(main())
