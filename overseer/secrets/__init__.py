"""The server's own secrets: where they are read from when a run needs them."""
