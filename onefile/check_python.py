# Runs first when the one-file program starts; build.sh puts BUILT_FOR = (major, minor, machine) in front.
import os
import sys

if (*sys.version_info[:2], os.uname().machine) != BUILT_FOR:  # noqa: F821
    sys.exit(
        "{0}: this file is built for Python {1}.{2} on {3}, and this is Python {4}.{5} on {6}.\n"
        "Run it with another Python (python{1}.{2} {0}), or build it here: make build".format(
            sys.argv[0], *BUILT_FOR, *sys.version_info[:2], os.uname().machine  # noqa: F821
        )
    )
