"""What overseerctl's commands take, and their help."""
