"""Answers into a store, and out of it: `lookalike import` and `lookalike export`."""
