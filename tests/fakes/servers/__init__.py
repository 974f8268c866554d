"""Fake servers, one for each wire format: `base.py` says what a new one has to add."""
