"""``python -m tests.soak [--seconds N] [--seed N] [--clients N]``: everything at once, checked throughout.

The seed decides what every client does; how their doings interleave is up to the machine.
"""

from __future__ import annotations

import argparse
import os
import random
import sys

os.environ.setdefault("OVERSEER_CHECK_LOCKS", str(random.SystemRandom().randrange(1, 1_000_000)))

from tests.soak.soak import soak


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description="A randomised soak of a real server."
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000))
    parser.add_argument("--clients", type=int, default=24)
    options = parser.parse_args()
    print(
        f"soak: --seed {options.seed}, OVERSEER_CHECK_LOCKS={os.environ['OVERSEER_CHECK_LOCKS']}", flush=True
    )
    print(soak(options.seed, options.seconds, options.clients))
    return 0


if __name__ == "__main__":
    sys.exit(main())
