"""The server's own secrets, read when a run needs them."""
