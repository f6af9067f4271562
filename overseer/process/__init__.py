"""OS processes: starting them, finding a run's whole tree, terminating it, reaping, and the guardian."""
