import sys

from overseer.ctl import main

sys.exit(main())
