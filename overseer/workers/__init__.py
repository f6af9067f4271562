"""One run of a task: a process or a function."""
