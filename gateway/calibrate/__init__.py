"""`lookalike calibrate`: from the shadow log to savings against disagreement, and to settings."""
