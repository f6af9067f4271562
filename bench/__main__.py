"""The command line: what to measure, how often, and where the results go."""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cases import Case, measure
from bench.cluster import cluster_cases
from bench.footprint import footprint_cases
from bench.kept import kept_cases
from bench.latency import latency_cases
from bench.lone import lone_cases
from bench.mass import mass_cases
from bench.report import summary, table, write_documents
from bench.requests import requests_cases
from bench.servers import BASELINE, HERE, Kind
from bench.starts import starts_cases
from bench.stored import stored_cases
from bench.throughput import throughput_cases
from bench.upgrade import upgrade_cases
from bench.usage import usage_cases
from bench.watching import watching_cases


def main() -> int:
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what it started is ended and removed
    _, most_files = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # for a thousand clients
    runs = options.runs or (1 if options.quick else 5)
    cases = list(_cases(options.quick))
    if options.only:
        names = [case.name for case in cases]
        if unknown := [name for name in options.only if name not in names]:
            print(f"no such case: {', '.join(unknown)}; there are {', '.join(names)}", file=sys.stderr)
            return 2
        cases = [case for case in cases if case.name in options.only]
    begun = time.monotonic()
    results = []
    for result in measure(cases, [HERE, BASELINE, *_others(options)], runs):
        results.append(result)
        if options.progress:
            print(table([result]), f"\n{time.monotonic() - begun:.0f} s so far\n", flush=True)
    print(table(results))
    print(f"\n{summary(results)} Medians of {runs} at most, {time.monotonic() - begun:.0f} s in all.")
    if failed := [f"{result.case.name} ({result.error})" for result in results if result.error]:
        print(f"Failed, so nothing is written: {'; '.join(failed)}", file=sys.stderr)
        return 1
    if options.write is not None:
        write_documents(options.write, results, runs)
    return 0


def _cases(quick: bool) -> Iterator[Case]:
    yield from throughput_cases(200_000 if quick else 1_500_000)
    yield from starts_cases(400 if quick else 1000, 400 if quick else 10_000)
    yield from requests_cases(300 if quick else 3000, 100 if quick else 1000)
    yield from mass_cases((10, 100) if quick else (10, 100, 1000))
    yield from latency_cases(150 if quick else 400)
    yield from lone_cases(1.0 if quick else 2.5)
    yield from cluster_cases(100_000 if quick else 1_000_000, 20 if quick else 60)
    yield from usage_cases(100 if quick else 1000)
    yield from watching_cases(500 if quick else 2000)
    gib = 2**30
    if quick:
        yield from stored_cases(200_000, gib, gib // 8, 10_000)
        yield from kept_cases(20, gib, gib // 4)
        yield from upgrade_cases(100)
    else:
        yield from stored_cases(1_500_000, 10 * gib, gib, 100_000)
        yield from kept_cases(200, 10 * gib, 5 * gib)
        yield from upgrade_cases(1, 100, 1000)
    yield from footprint_cases(200 if quick else 1000, 0.5 if quick else 2.0)


def _others(options: argparse.Namespace) -> Iterator[Kind]:
    for other in options.other:
        name, _, command = other.partition("=")
        yield Kind(name, command, address=options.other_address, foreign=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measures the server next to a bare baseline; loopback only."
    )
    parser.add_argument("--quick", action="store_true", help="a rough look in well under a minute")
    parser.add_argument("--only", action="append", metavar="CASE", help="just this case; can be repeated")
    parser.add_argument("--runs", type=int, metavar="N", help="of a case at most (default: 5, or 1)")
    parser.add_argument("--progress", action="store_true", help="print each case when it is done, too")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write BENCHMARKS.md and its plots there (all cases only)"
    )
    parser.add_argument(
        "--other",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="measure another server too; {config} in the command is the file that is written for it, in "
        "which `listen` is its address, {address} that address",
    )
    parser.add_argument(
        "--other-address",
        default="",
        metavar="HOST:PORT",
        help="where the other server listens, if it cannot be told to (default: a free port)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
