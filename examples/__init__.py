"""Runnable scenarios; examples/README.md says what each shows."""
