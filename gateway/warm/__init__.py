"""`lookalike warm` and `lookalike batch`: many questions through the gateway, at a pace, none twice."""
