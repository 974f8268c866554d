"""What every test may use. Keep it small: a fixture for one package belongs beside its tests."""

import pytest

pytest.register_assert_rewrite("tests.contracts")


@pytest.fixture
def anyio_backend() -> str:
    """`@pytest.mark.anyio` runs on asyncio alone, as the gateway does."""
    return "asyncio"
