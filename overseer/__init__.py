"""Runs, watches and streams processes over one WebSocket."""
