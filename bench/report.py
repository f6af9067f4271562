"""The results as a table for people and as docs/BENCHMARKS.md with its plots."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.cases import FEWEST, Metric, Result
from bench.plot import Bars, bar_plot
from bench.servers import BASELINE, HERE

# Plots of all cases that have a figure in that unit: the file's name, the title, the unit.
_PLOTS = (
    ("cpu", "Microseconds of server CPU a line", "µs of server CPU a line"),
    ("lone", "Microseconds of server CPU for a line that comes alone", "µs of server CPU each"),
    ("starts", "Milliseconds of server CPU a start", "ms of server CPU a start"),
    ("stops", "Milliseconds of server CPU a stop", "ms of server CPU a stop"),
)

_INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which starts real servers on the loopback interface, drives them with clients that
cost next to nothing, and checks in every run that nothing was lost (the last `seq`, the bytes of all
frames, the number of starts, tasks and lines). `python -m bench --quick` is a shorter look that writes
nothing; `--other NAME=COMMAND` puts another server that speaks the protocol beside it (`python -m bench
--help`).

**here** is this server. **baseline** is `bench/baseline.py`: threaded Python that takes lines from a pipe,
makes frames and sends them, and does nothing else: no limits, filters, queues, history, process groups,
slow clients. **a line now and then** is what most tasks write: each such line finds the server asleep, so
it costs what waking up costs, two or three system calls and code that has left the caches, which depends on
the processor and its other work far more than a flood does. One process writes into the pipes of all tasks,
at random moments. Each figure is the median of {runs} runs, or of fewer where the first {fewest} agree or a
run takes long, with the lowest and the highest in brackets; the servers took turns, a fresh one for each
run. **ratio** is here to baseline, the median over pairs of runs that stood side by side: machines and
their moods differ, so the ratio and the CPU a line say more than lines a second. **memory** is what is
resident after the run, here and in the baseline.

Taken on {date} with {machine}.

What the figures depend on, beside the processor:

- *Lines a second*: the child, the server and the client share the processors, so with two of them the
  server has less than one. The more a line is to be sent to, the more of the time is the kernel's, which
  copies it for each client. A child that writes short lines quicker than they are read has them read in
  larger batches.
- *Starts*: mostly `vfork`, `exec` and a new thread, in the kernel; each variable of the server's
  environment adds a little, since all are handed to each child. `started` comes after three threads have
  been woken in turn (the client's, the one that launches, the run's), so how soon depends on how fast the
  processor wakes.
- *Stops*: the run's threads all wake at once and take turns, as one of them runs Python at a time.
- *`list`*: only tasks that have changed since the last one are encoded; the first has all of them to do.
- *A line now and then*: see above.
- *Memory*: a run has a thread: three pages of stack, as many of Python's own, are the smaller half of what is
  counted. A client has one while it speaks, and for five seconds more. An idle server has loaded what
  its configuration needs: templates, conditions, TLS and `data_dir` each add something.
- *An idle server* has nothing to wake up for. While a client is connected it looks once a second whether it
  was itself stopped or suspended, in which time clients are not to be blamed for silence.
- *With a log*: `write(2)` into the page cache of the file system under `data_dir`: 37 bytes precede each
  line, so short lines are mostly that. The disk itself counts only once the kernel has too much to write
  back. Without subscribers, copying is most of the work; with them it is lost among the rest.
- *Reading logs, and the history*: what is read is in the page cache; on a cold disk, add a seek for each
  block of 256 KiB.
"""


def table(results: Sequence[Result]) -> str:
    """In Markdown that can be read as it is."""
    others = sorted({name for result in results for name in result.samples} - {HERE.name, BASELINE.name})
    head = ["work", "figure", "goal", "here", "baseline", "ratio", *others, "memory, MB"]
    rows = [head, ["---", "---", *(["---:"] * (len(head) - 2))]]
    for result in results:
        for place, metric in enumerate(result.case.metrics):
            ratio = result.ratio(metric)
            resident = [result.resident(name) for name in (HERE.name, BASELINE.name)]
            memory = " / ".join(f"{size / 1e6:.0f}" for size in resident if size is not None)
            rows.append(
                [
                    result.case.title.replace("|", "\\|") if place == 0 else "",
                    metric.unit,
                    _goal(metric),
                    _spread(result, HERE.name, metric) + _verdict(result, metric),
                    _spread(result, BASELINE.name, metric),
                    f"{ratio:.2f}" if ratio is not None and ratio < 100 else "",
                    *(_spread(result, name, metric) for name in others),
                    memory if place == 0 else "",
                ]
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = []
    for row in rows:
        cells = [
            "-" * (width - 1) + ":" if cell == "---:" else "-" * width if cell == "---" else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(results: Sequence[Result]) -> str:
    """One sentence: what falls short."""
    short = [
        f"{result.case.title} ({metric.unit})"
        for result in results
        for metric in result.case.metrics
        if _verdict(result, metric)
    ]
    return f"Short of their goals: {'; '.join(short)}." if short else "All goals are met."


def write_documents(directory: Path, results: Sequence[Result], runs: int) -> None:
    """BENCHMARKS.md and the plots that it shows."""
    plots = directory / "benchmarks"
    plots.mkdir(parents=True, exist_ok=True)
    by_name = {result.case.name: result for result in results}
    (plots / "throughput.svg").write_text(
        bar_plot(
            "Lines a second to each subscriber",
            [
                _bars(by_name[f"to-{count}"], f"{count} subscriber{'s' if count > 1 else ''}", "rate")
                for count in (1, 10, 50)
            ],
        )
    )
    shown = [("throughput", "Lines a second to each subscriber")]
    for name, title, unit in _PLOTS:
        groups = [
            _bars(result, result.case.title.replace("`", ""), metric.key)
            for result in results
            for metric in result.case.metrics
            if metric.unit == unit
        ]
        if groups:
            (plots / f"{name}.svg").write_text(bar_plot(title, groups))
            shown.append((name, title))
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    machine = f"{os.cpu_count()} processors ({_processor()}), {system}"
    today = datetime.now(UTC).date()
    introduction = _INTRODUCTION.format(runs=runs, fewest=FEWEST, date=today, machine=machine)
    (directory / "BENCHMARKS.md").write_text(
        f"{introduction}\n{table(results)}\n\n{summary(results)}\n"
        + "".join(f"\n![{title}](benchmarks/{name}.svg)\n" for name, title in shown)
    )


def _bars(result: Result, label: str, key: str) -> Bars:
    metric = next(metric for metric in result.case.metrics if metric.key == key)
    values = {name: result.median(name, metric) for name in result.samples}
    return Bars(label, {name: (value, _figure(value)) for name, value in values.items() if value is not None})


def _goal(metric: Metric) -> str:
    if metric.goal is None:
        return ""
    return ("≥ " if metric.more_is_better else "≤ ") + _figure(metric.goal)


def _spread(result: Result, server: str, metric: Metric) -> str:
    median, values = result.median(server, metric), result.values(server, metric)
    if median is None:
        return ""
    spread = f" ({_figure(values[0])} to {_figure(values[-1])})" if len(values) > 1 else ""
    return _figure(median) + spread


def _verdict(result: Result, metric: Metric) -> str:
    median = result.median(HERE.name, metric)
    return "" if median is None or metric.met(median) else " **short**"


def _figure(value: float) -> str:
    """Three digits, more only before the point."""
    if abs(value) >= 100:
        rounded = round(value, 2 - len(str(int(abs(value)))) + 1)
        return f"{rounded:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:.3f}".rstrip("0").rstrip(".") or "0"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
