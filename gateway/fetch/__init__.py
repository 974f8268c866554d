"""Fetching the pictures that a request names by URL, so that no request makes the gateway reach what it must not."""
