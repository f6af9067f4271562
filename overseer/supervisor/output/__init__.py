"""Tasks' output: numbered, kept, and sent to subscribers, even to those that lag."""
