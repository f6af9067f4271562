"""A field's type: how it is read from JSON and YAML, written, and described in documents."""
