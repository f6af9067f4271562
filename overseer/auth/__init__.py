"""Who may do what: tokens, roles, browsers, sign-ins, the record of it all; see docs/SECURITY.md.

Pure, and known to everything that handles clients: ``principal``, ``origins``. Around them ``tokens``,
``users``, ``sessions`` and ``throttle``; ``gate`` asks them all about each request.
"""
