import sys

from overseer.ctl.command import main

sys.exit(main())
