"""A downstream program: the overseer with drivers of its own."""

import sys

import acme  # its drivers register themselves

import overseer

if __name__ == "__main__":
    print(f"drivers of acme {acme.VERSION}", file=sys.stderr)
    sys.exit(overseer.run_cli(acme.VERSION, "c0ffee"))
