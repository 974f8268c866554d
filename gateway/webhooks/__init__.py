"""Events to those who are to be told: queued on disk, signed, and sent until they are taken."""
