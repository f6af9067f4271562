"""The command line of the server."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from overseer.actions import build_action_handlers, list_handlers, load_drivers
from overseer.config import Together, load_config
from overseer.daemon import Daemon
from overseer.errors import OverseerError
from overseer.logs import printable, set_up_logging
from overseer.preflight import check_places, system_advice
from overseer.security.access import load_access
from overseer.security.advice import security_advice
from overseer.security.handover import withdraw_secrets
from overseer.security.tokens import digests_of

__all__ = ["main", "run_cli"]

_log = logging.getLogger(__name__)

_DEFAULT_CONFIG = "./config.yaml"


def main() -> int:
    """The console script ``sticky-overseer``."""
    from overseer import __version__

    return run_cli(__version__, "")


def run_cli(version: str, commit: str, argv: Sequence[str] | None = None) -> int:
    """The whole daemon: parse the command line, serve until told to stop. To be called on the main thread.

    Args:
        version, commit: what ``--version`` prints; a program with drivers of its own gives its own.
        argv: the arguments after the program's name; None: those of the process.

    Returns:
        The exit status: 0 after an orderly end, 1 when the configuration or the address cannot be used, 2 for
        wrong arguments.
    """
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if options.version:
        print(f"sticky-overseer {version}" + (f" ({commit})" if commit else ""))
        return 0
    set_up_logging()
    load_drivers()
    if options.list_handlers:
        print("\n".join(list_handlers()))
        return 0
    if options.schema:
        from overseer.config.jsonschema import schema_text

        print(schema_text(), end="")
        return 0
    try:
        named = os.environ.get("OVERSEER_CONFIG") or options.config
        path = named or _DEFAULT_CONFIG
        config = load_config(path)
        if options.check and named and not config.file:
            raise OverseerError(f"{path}: no such file")
        # Before anything is said: it may start the program over.
        secrets = withdraw_secrets(config.auth.variables, start_over=not options.check)
        for warning in config.warnings:
            _log.warning("%s", warning)
        variables = digests_of(secrets)
        together = Together()
        with together.step():
            access = load_access(config, variables)
        with together.step():
            handlers = build_action_handlers(config)
        with together.step():
            check_places(config, listens=not os.environ.get("LISTEN_FDS"))
        together.raise_errors()
        for advice in (*security_advice(config, asks=bool(access.tokens)), *system_advice()):
            _log.warning("%s", advice)
        if options.check:
            count = f"{len(handlers)} action{'' if len(handlers) == 1 else 's'}"
            print(f"{config.file or 'no file'}: fine, {count}")
            return 0
        return Daemon(path, config, handlers, access, variables, version).run()
    except OverseerError as error:
        print("\n".join(map(printable, f"sticky-overseer: {error}".split("\n"))), file=sys.stderr)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"sticky-overseer: {place}{error.strerror or error}", file=sys.stderr)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "start new thread" not in str(error):
            raise
        missing = "memory" if isinstance(error, MemoryError) else "threads"
        text = f"the system allows no more {missing}; see ulimit -a and the limits of its service"
        print(f"sticky-overseer: {text}", file=sys.stderr, flush=True)
        os._exit(1)  # the threads that did start would wait for the end of a server that never began
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sticky-overseer",
        description="Runs, watches and streams processes over one WebSocket.",
        epilog="Environment: OVERSEER_CONFIG beats --config; OVERSEER_LISTEN, OVERSEER_DB, "
        "OVERSEER_LOG_FILE and OVERSEER_TRUSTED_CIDRS beat what the file says. OVERSEER_TOKEN is an admin's "
        "token, which clients must then present.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("--config", "-config", metavar="PATH", help=f"the file (default: {_DEFAULT_CONFIG})")
    for name, text in (
        ("check", "load everything, say what is wrong and where, and exit"),
        ("schema", "print the JSON Schema of the configuration file, for editors, and exit"),
        ("list-handlers", "print the driver types that actions can have, and exit"),
        ("version", "print the version and exit"),
    ):
        parser.add_argument(f"--{name}", f"-{name}", action="store_true", help=text)
    parser.add_argument("--help", "-help", "-h", action="help", help="print this and exit")
    return parser
