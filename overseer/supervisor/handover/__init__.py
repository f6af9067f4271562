"""Handing over a hub to the program that takes this one's place: see :mod:`overseer.util.handover_format`."""
