"""Rules: what the operator wants done with answers as they are served. docs/rules.md."""
