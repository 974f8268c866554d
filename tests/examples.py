"""How much hypothesis may try. Few examples with no deadline: the whole suite must stay quick on two slow cores."""

from hypothesis import HealthCheck, settings


def examples(most: int) -> settings:
    return settings(max_examples=most, deadline=None, suppress_health_check=[HealthCheck.too_slow])
