"""Who may do what: tokens, roles, browsers and sign-ins; see docs/SECURITY.md.

Decisions only, no I/O but for the list of local networks; ``daemon/gate`` applies them to each request.
"""
