"""The server as ``python -m overseer``, and as the console script ``sticky-overseer``."""

import sys

from overseer.util.interrupt import end_at_once


def main() -> int:
    end_at_once()  # until the server hears its signals itself
    from overseer.daemon.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
