"""A server as one might have it at work: what it can run, a month of history, and tasks that run now."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from overseer.history import rows
from overseer.history.database import open_database
from overseer.history.records import Run, RunEnd, Trigger
from tests.harness import Daemon, WsClient, shell

__all__ = ["harbour"]

_DAYS = 30
_BUILD = r"""
printf '\033[1m$ make release\033[0m\n'
for unit in parser planner storage network scheduler console; do
  printf '\033[36mcc\033[0m  src/%s.c\n' $unit; sleep 0.04
done
[ [[ shquote .branch ]] = broken ] && {
  echo 'src/planner.c:218: error: no member named "deadline" in struct plan' >&2
  echo 'make: *** [release] Error 2' >&2; exit 2; }
printf 'linking dist/shop-2.14.0\n'
printf '{"artifact": "shop-2.14.0", "size": 8412672, "checks": {"unit": 214, "style": true}}\n'
printf '\033[32mdone\033[0m  https://builds.example/shop/2.14.0\n'
"""
_TEST = r"""
echo 'collecting 214 tests'
for each in cart checkout login search; do printf 'tests/%s  \033[32mok\033[0m\n' $each; sleep 0.03; done
[ [[.flaky]] = true ] && { echo 'tests/login: expected 200, got 500' >&2; exit 1; }
echo '214 passed'
"""
_SHOP = r"""
printf 'listening on http://127.0.0.1:4000\n'
n=0
while :; do
  n=$((n + 1))
  case $((n % 7)) in
    0) printf '\033[33mWARN\033[0m  cache miss for /products/%d, 214 ms\n' $((n * 37 % 900)) ;;
    3) printf 'GET /cart 304 4 ms\n' ;;
    5) printf 'POST /orders 201 31 ms {"order": %d, "items": 3}\n' $((n + 80000)) ;;
    *) printf 'GET /products/%d 200 %d ms\n' $((n * 53 % 900)) $((n * 7 % 60 + 5)) ;;
  esac
  sleep 0.3
done
"""
_WORKER = r"""
n=4100
while :; do
  n=$((n + 1)); printf 'job %d  resize photo  \033[32mdone\033[0m in %d ms\n' $n $((n * 13 % 90 + 20))
  [ $((n % 9)) = 0 ] && echo "job $n: the photo is damaged, skipped" >&2
  sleep 0.5
done
"""
_ENCODE = r"""
n=0
while :; do
  n=$((n + 1))
  printf '\r%s  frame %6d  %3d%%' [[ shquote .film ]] $((n * 214)) $((n % 100))
  sleep 0.2
done
"""

ACTIONS: dict[str, dict[str, Any]] = {
    "build": shell(
        _BUILD,
        title="Build",
        icon="build",
        group="Delivery",
        description="Compiles and packs a branch",
        config={"command": ["-c", _BUILD], "parameters": {"branch": {"default": "main"}}},
    ),
    "test": shell(
        "",
        title="Run tests",
        icon="test",
        group="Delivery",
        description="The whole suite",
        config={"command": ["-c", _TEST], "parameters": {"flaky": {"type": "boolean", "default": "false"}}},
    ),
    "deploy": shell(
        "",
        title="Deploy",
        icon="rocket",
        group="Delivery",
        description="Puts a version into service",
        confirm="Deploy to production?",
        config={
            "command": ["-c", "echo 'draining [[.region]]'; exec sleep 3600"],
            "parameters": {
                "version": {"pattern": "[0-9]+[.][0-9]+[.][0-9]+", "description": "As it was built"},
                "region": {
                    "choices": [
                        {"value": "eu", "title": "Europe"},
                        {"value": "us", "title": "North America"},
                    ],
                    "default": "eu",
                },
                "share": {
                    "type": "integer",
                    "min": 1,
                    "max": 100,
                    "default": "10",
                    "description": "In percent",
                },
                "notify": {"type": "boolean", "default": "true", "description": "Say so in the channel"},
            },
        },
    ),
    "backup": shell(
        "sleep 0.4; echo 'dumped 41 tables'",
        title="Back up the database",
        icon="database",
        group="Upkeep",
        description="A dump, kept for 30 days",
    ),
    "clean": shell(
        "sleep 0.1; echo 'freed 1.2 GiB'",
        title="Clean up",
        icon="clean",
        group="Upkeep",
        description="Removes what nobody has asked for in a week",
    ),
    "certs": shell(
        "echo 'asking for shop.example'; echo 'rate limited by the authority' >&2; exit 4",
        title="Renew certificates",
        icon="lock",
        group="Upkeep",
        description="Asks the authority for new ones",
        retry={"restart_delay": "50ms", "error_threshold": 2},
    ),
    "serve": shell(
        _SHOP,
        title="Shop",
        icon="globe",
        group="Services",
        description="What customers see",
        ready={"log": "^listening"},
    ),
    "work": shell(
        _WORKER, title="Worker", icon="gear", group="Services", description="Takes jobs from the queue"
    ),
    "db": shell(
        "echo 'ready for connections'; exec sleep 3600",
        title="Database",
        icon="server",
        group="Services",
        description="PostgreSQL, for the shop",
        ready={"log": "^ready"},
    ),
    "encode": shell(
        "",
        title="Encode a film",
        icon="film",
        group="Media",
        description="H.265, in two passes",
        task_pool={"limit": 2, "queue": {"enabled": True, "size": 0}},
        config={"command": ["-c", _ENCODE], "parameters": {"film": {"description": "Its file"}}},
    ),
    "index": shell(
        "sleep 0.1; echo 'indexed 18 204 products'",
        title="Index products",
        icon="search",
        group="Media",
        description="So that the search finds them",
    ),
}
_TASKS = {
    "db": {"action": "db", "autostart": True},
    "shop": {"action": "serve", "autostart": True, "depends_on": {"db": "ready"}},
    "jobs": {"action": "work", "autostart": True, "depends_on": {"db": "ready"}},
    "nightly-backup": {"action": "backup", "schedule": {"cron": "30 2 * * *"}},
    "clean-up": {"action": "clean", "schedule": {"cron": "0 * * * *"}},
    "reindex": {"action": "index", "schedule": {"cron": "15 */3 * * *"}},
}


@contextmanager
def harbour(directory: Path) -> Iterator[tuple[Daemon, WsClient]]:
    """The server, as busy as one likes it; its history is in ``directory``."""
    directory.mkdir(parents=True, exist_ok=True)
    _remember(directory / "overseer.db")
    with (
        Daemon(
            name="harbour",
            description="Builds, ships and looks after the shop",
            data_dir=str(directory),
            actions=ACTIONS,
            tasks=_TASKS,
        ) as daemon,
        daemon.connect() as client,
    ):
        _begin(client)
        yield daemon, client


def _begin(client: WsClient) -> None:
    for action, params in (
        ("test", {}),
        ("build", {"branch": "broken"}),
        ("test", {"flaky": "true"}),
        ("index", {}),
        ("build", {"branch": "main"}),
        ("test", {}),
    ):
        client.run(action, params=params)
    client.request("start", action="certs", task_id="certs")
    client.expect("errored", task_id="certs")
    client.request("start", action="deploy", params={"version": "2.14.0"})
    for film in ("metropolis.mkv", "nosferatu.mkv", "safety-last.mkv", "the-general.mkv", "sunrise.mkv"):
        client.request("start", action="encode", params={"film": film})


def _remember(path: Path) -> None:
    """A month of runs, as an earlier server would have left them."""
    chance = random.Random(7)
    connection = open_database(path)
    now = datetime.now(UTC)
    past = ((run, end) for run, end in _past(chance, now) if end.at < now)
    runs = sorted(past, key=lambda each: each[0].started)
    numbers: dict[str, int] = {}
    connection.execute("BEGIN")
    for run, end in runs:
        run.number = numbers[run.task_id] = numbers.get(run.task_id, 0) + 1
        for statement in (rows.insert(run, "earlier"), rows.end(run, end)):
            connection.execute(*statement)
    connection.execute("COMMIT")
    connection.close()


def _past(chance: random.Random, now: datetime) -> Iterator[tuple[Run, RunEnd]]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for ago in range(_DAYS, -1, -1):
        day = midnight - timedelta(days=ago)
        workday = day.weekday() < 5
        for _ in range(chance.randrange(9, 18) if workday else chance.randrange(2, 5)):
            at = day + timedelta(hours=min(22.0, max(6.0, chance.gauss(14, 3))), minutes=chance.random() * 60)
            built = chance.random() > 0.07
            yield _run(chance, "build", at, 94, 0 if built else 2, params={"branch": "main"})
            if built:
                yield _run(chance, "test", at + timedelta(minutes=2), 41, int(chance.random() < 0.1))
        if workday and chance.random() < 0.6:
            version = f"2.{13 - ago // 3}.{ago % 3}"
            at = day + timedelta(hours=15, minutes=chance.randrange(59))
            yield _run(chance, "deploy", at, 66, 0, params={"version": version})
        for hour in range(24):
            at = day + timedelta(hours=hour)
            yield _run(chance, "clean", at, 2.4, 0, task="clean-up", why="schedule")
            if hour % 3 == 0:
                late = at + timedelta(minutes=15)
                yield _run(
                    chance, "index", late, 55, int(chance.random() < 0.02), task="reindex", why="schedule"
                )
        at = day + timedelta(hours=2, minutes=30)
        yield _run(chance, "backup", at, 340, int(ago == 9), task="nightly-backup", why="schedule")
        for number in range(chance.randrange(1, 5)):
            film = f"reel-{ago:02}-{number}.mkv"
            at = day + timedelta(hours=9 + 3 * number, minutes=chance.randrange(59))
            yield _run(chance, "encode", at, 580, 0, params={"film": film})


def _run(
    chance: random.Random,
    action: str,
    started: datetime,
    seconds: float,
    code: int,
    *,
    params: dict[str, str] | None = None,
    task: str = "",
    why: str = "client",
) -> tuple[Run, RunEnd]:
    took = seconds * min(1.6, max(0.4, chance.gauss(1, 0.15))) * (0.4 if code else 1)
    identity = f"{chance.getrandbits(128):032x}"
    made_up = f"{identity[:8]}-{identity[8:12]}-4{identity[13:16]}-8{identity[17:20]}-{identity[20:]}"
    run = Run(
        run_id=f"{chance.getrandbits(128):032x}",
        task_id=task or made_up,
        action=action,
        params=params or {},
        complete=True,
        policy=None,
        trigger=Trigger(why, "ana" if why == "client" else ""),
        queued=None,
        started=started,
        first_seq=1,
        definition="9f2c61d04b7a",
    )
    return run, RunEnd(
        at=started + timedelta(seconds=took),
        exit_code=code,
        signal="",
        reason="exited",
        duration_ms=round(took * 1000),
        failed=bool(code),
        last_seq=0,
    )
