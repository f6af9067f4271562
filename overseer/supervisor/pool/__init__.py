"""Who gets a slot, who is queued, moved or displaced; decided without I/O."""
