"""shiv, with two manners more.

What goes wrong while the program unpacks itself is said in two plain lines. Ctrl-C just ends it while it does
so and while it loads (see overseer.util.interrupt).
"""

from shiv import builder, cli

# A template as shiv has them: braces are doubled.
FIRST = """\
import signal
import sys

if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import _bootstrap


def telling(step):
    def take(*args, **named):
        try:
            return step(*args, **named)
        except (OSError, RuntimeError) as error:  # RuntimeError: there is no home directory
            sys.exit(
                f"sticky-overseer: this file cannot unpack itself: {{error}}\\n"
                "Have SHIV_ROOT name a directory that can be written to."
            )

    return take


_bootstrap.cache_path = telling(_bootstrap.cache_path)
_bootstrap.extract_site_packages = telling(_bootstrap.extract_site_packages)
"""

builder.MAIN_TEMPLATE = FIRST + builder.MAIN_TEMPLATE
cli.main()
