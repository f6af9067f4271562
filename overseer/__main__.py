"""``python -m overseer``."""

import sys

from overseer.run import main

sys.exit(main())
