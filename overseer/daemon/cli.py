"""The command line of the server."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence

from overseer.config import ConfigErrors, ErrorCollector, parse_config, read_config
from overseer.daemon.access_rules import load_access
from overseer.daemon.advice import advice, system_advice
from overseer.daemon.credentials import variables_of
from overseer.daemon.daemon import Daemon
from overseer.daemon.environment import handed_on, withdraw_secrets
from overseer.daemon.preflight import check_actions, check_files
from overseer.drivers.api import build_action_handlers, list_handlers
from overseer.errors import OverseerError
from overseer.secrets.vault import Vault
from overseer.util.handover_format import VARIABLE
from overseer.util.logs import Stderr, printable, set_up_logging
from overseer.util.startup import settle, speak_utf8

_log = logging.getLogger(__name__)

_DEFAULT_CONFIG = "./config.yaml"


def main() -> int:
    """The console script ``sticky-overseer``."""
    from overseer import __version__

    return run_cli(__version__, "")


def run_cli(version: str, commit: str, argv: Sequence[str] | None = None) -> int:
    """Run the whole daemon: parse the command line, serve until told to stop. Call it on the main thread.

    Args:
        version, commit: printed by ``--version``; a program with its own drivers passes its own.
        argv: the arguments after the program's name; None: those of the process.

    Returns:
        The exit status: 0 after an orderly end, 1 when the configuration or the address cannot be used or the
        server had to give up, 2 for wrong arguments.
    """
    settle(unblock=VARIABLE not in os.environ)
    stderr = set_up_logging()
    try:
        status = _run(version, commit, argv, stderr)
        if os.environ.get("PYTHONINSPECT"):  # it would keep Python from exiting with this status
            stderr.end()
            os._exit(status)
        return status
    except OverseerError as error:
        _complain(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _complain(f"{place}{error.strerror or error}")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "start new thread" not in str(error):
            raise
        missing = "memory" if isinstance(error, MemoryError) else "threads"
        _complain(f"the system allows no more {missing}; see ulimit -a and the limits of its service")
        stderr.end()
        os._exit(1)  # a normal exit would wait for the threads that did start
    finally:
        stderr.end()
    return 1


def _run(version: str, commit: str, argv: Sequence[str] | None, stderr: Stderr) -> int:
    unable = speak_utf8()
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    if options.version:
        return _print(f"sticky-overseer {version}" + (f" ({commit})" if commit else ""))
    if options.list_handlers:
        return _print("\n".join(list_handlers()))
    if options.schema:
        from overseer.config.jsonschema import schema_text

        return _print(schema_text().rstrip("\n"))
    named = os.environ.get("OVERSEER_CONFIG") or options.config
    path = named or _DEFAULT_CONFIG
    if options.check_handover is not None or VARIABLE in os.environ:
        from overseer.daemon.takeover import rehearse, take_over  # only in an upgrade

        if options.check_handover is not None:
            return rehearse(path, options.check_handover, version)
        try:
            if (daemon := take_over(path, version, stderr)) is not None:
                return daemon.run()
        except (OverseerError, OSError) as error:
            raise SystemExit(str(error)) from error  # the first stage says so, and goes back
    return _load_and_serve(path, bool(named), options, version, stderr, unable)


def _load_and_serve(
    path: str, named: bool, options: argparse.Namespace, version: str, stderr: Stderr, unable: str
) -> int:
    """Load the configuration, and serve by it or, with ``--check``, say that it can be used."""
    before = handed_on()
    data = before.config if before else read_config(path)
    if options.check and named and data is None:
        raise OverseerError(f"{path}: no such file")
    config = parse_config(path, data, further=check_actions)
    # Before any output, since it may re-execute the program.
    secrets = withdraw_secrets(config.variables, start_over=not options.check, before=before, config=data)
    stderr.start()
    if secrets.get("OVERSEER_TOKEN") == "" and not config.auth.tokens:
        raise OverseerError("OVERSEER_TOKEN is empty: put a token into it, or unset it to require none")
    if unable:
        _log.warning("%s", unable)
    strict = options.check and not options.lenient
    unknown = list(config.unknown) if strict else []
    said = set(map(str, unknown))
    for warning in config.warnings:
        if warning not in said:
            _log.warning("%s", warning)
    variables, values = variables_of(config, secrets)
    collector = ErrorCollector()
    with collector.step():
        access = load_access(config, variables)
    with collector.step():
        handlers = build_action_handlers(config, unknown.append if strict else None)
    with collector.step():
        check_files(config, listens=not os.environ.get("LISTEN_FDS"))
    with collector.step():
        if unknown:
            raise ConfigErrors(unknown)
    collector.raise_errors()
    for warning in (*advice(config, handlers, values, asks=bool(access.tokens)), *system_advice()):
        _log.warning("%s", warning)
    if options.check:
        stderr.end()  # the warnings come first
        count = f"{len(handlers)} action{'' if len(handlers) == 1 else 's'}"
        return _print(f"{config.file or 'no file'}: OK, {count}")
    return Daemon(path, config, handlers, access, variables, Vault(values), version).run()


def _print(text: str) -> int:
    """Print to stdout; returns the exit status."""
    try:
        if sys.stdout is None:  # >&-
            raise OSError(errno.EBADF, "it is closed")
        print(text, flush=True)
    except BrokenPipeError:  # the reader has seen enough
        sys.stdout = None
    except OSError as error:
        sys.stdout = None  # or Python would try again at exit, with a traceback
        _complain(f"cannot write to stdout: {error.strerror}")
        return 1
    return 0


def _complain(text: str) -> None:
    print("\n".join(map(printable, f"sticky-overseer: {text}".split("\n"))), file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: object = None) -> None:
        # argparse's own ignores a stdout that cannot be written to.
        raise SystemExit(_print(self.format_help().rstrip("\n")))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sticky-overseer",
        description="A process supervisor that clients drive over one WebSocket.",
        epilog="Environment: OVERSEER_CONFIG overrides --config; OVERSEER_LISTEN, OVERSEER_DB, "
        "OVERSEER_LOG_FILE and OVERSEER_TRUSTED_CIDRS override the file. OVERSEER_TOKEN is an admin's token; "
        "with it, every client must present a token.",
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("--config", "-config", metavar="PATH", help=f"the file (default: {_DEFAULT_CONFIG})")
    for name, text in (
        ("check", "load everything, report what is wrong and where, and exit"),
        ("lenient", "with --check: only warn of unknown keys, as the server does when it starts"),
        ("schema", "print the JSON Schema of the configuration file, for editors, and exit"),
        ("list-handlers", "print the available driver types, and exit"),
        ("version", "print the version and exit"),
    ):
        parser.add_argument(f"--{name}", f"-{name}", action="store_true", help=text)
    # For the server itself, see overseer.upgrade.
    parser.add_argument("--check-handover", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--help", "-help", "-h", action="help", help="print this and exit")
    return parser
