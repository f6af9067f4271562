"""Tasks: admitted, started, restarted and stopped by the hub, which tells clients what happens."""
