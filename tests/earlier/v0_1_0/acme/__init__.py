from acme import archive, countdown, inbox, tidy  # noqa: F401
