"""Many questions, asked one by one: what `lookalike batch` and the batch endpoints share."""
