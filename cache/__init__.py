"""What is stored, found and believed. Knows nothing of HTTP, dialects or models."""
