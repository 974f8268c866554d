"""`lookalike compare` and `lookalike evaluate`: the ladder on the user's own pictures. No model is asked."""
