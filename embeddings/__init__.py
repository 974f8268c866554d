"""Pictures to vectors. Knows nothing of HTTP or caches."""
