"""The proxy: composes `cache` and `embeddings` into a gateway. Start reading at plan.py."""
