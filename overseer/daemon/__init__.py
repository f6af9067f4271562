"""One server from start to end: command line, clients' requests, reloads, upgrades, signals."""
