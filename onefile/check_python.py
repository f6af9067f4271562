# Runs first when the one-file program starts; build.sh puts BUILT_FOR = (major, minor, machine) in front.
import os
import sys

if (*sys.version_info[:2], os.uname().machine) != BUILT_FOR:  # noqa: F821
    sys.exit(
        "sticky-overseer: this file is built for Python {0}.{1} on {2}, and this is Python {3}.{4} on {5}.\n"
        "Give it to python{0}.{1} (python{0}.{1} FILE ...), or build it here: make build".format(
            *BUILT_FOR, *sys.version_info[:2], os.uname().machine  # noqa: F821
        )
    )
