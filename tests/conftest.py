"""What every test may use. Keep it small: a fixture for one package belongs beside its tests."""

import logging
from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.contracts")


@pytest.fixture
def anyio_backend() -> str:
    """`@pytest.mark.anyio` runs on asyncio alone, as the gateway does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What a command sets for its process is over with its test."""
    loggers = [logging.getLogger(name) for name in ("", "lookalike", "lookalike.access")]
    before = [(logger, logger.level, list(logger.handlers), logger.propagate) for logger in loggers]
    yield
    for logger, level, handlers, propagate in before:
        logger.setLevel(level)
        logger.handlers[:], logger.propagate = handlers, propagate
