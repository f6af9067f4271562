import sys

import acme  # noqa: F401

import overseer

sys.exit(overseer.run_cli("1.0.0", "4f2a9c1"))
