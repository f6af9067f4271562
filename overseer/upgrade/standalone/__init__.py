"""What is executed in place of the running program: nothing here may import from the package."""
