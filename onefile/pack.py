"""shiv, but Ctrl-C just ends the program while it unpacks itself and loads (see overseer.interrupt)."""

from shiv import builder, cli

FIRST = """\
import signal

if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
"""

builder.MAIN_TEMPLATE = FIRST + builder.MAIN_TEMPLATE
cli.main()
