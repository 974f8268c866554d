"""The endpoints under /cache/ do what their own OpenAPI document says, whatever is sent to them.

`python -m tests.flows.test_openapi 3000` goes on for longer: so many requests for each endpoint.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from gateway.admin.openapi import description
from gateway.config import Settings
from tests.fakes.pictures import card
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, gateway_over, serving
from tests.flows.test_wishes import post

_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
_OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in description("0")["paths"].items()
    for method in methods
    if method in ("get", "post", "delete")
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A gateway that holds an answer."""
    with serving(FakeUpstream()) as upstream:
        folder = tmp_path_factory.mktemp("openapi")
        with gateway_over(Settings(upstream=upstream, cache_dir=folder, embedder="dct")) as stage:
            post(stage, card("48.20"))
            yield stage


def hold(gateway: str, operation: str, most: int) -> None:
    """Raises where an answer of the endpoint is none that the document tells of."""
    schema = schemathesis.openapi.from_url(f"{gateway}/cache/openapi.json")
    method, path = operation.split()
    found = schema[path][method]

    @settings(
        max_examples=most,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
        derandomize=True,
        database=None,
    )
    @given(case=found.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate(base_url=f"{gateway}/cache", checks=_CHECKS, timeout=60)

    check()


@pytest.mark.filterwarnings("ignore")  # of libraries that schemathesis brings along
@pytest.mark.parametrize("operation", _OPERATIONS)
def test_an_endpoint_answers_as_its_document_says(asked: Stage, operation: str) -> None:
    hold(asked.gateway, operation, most=15)


@pytest.mark.parametrize("path", ["entries/x%0A", "entries/x%0Ay", "%0A", "entries/%0D%0Aa:b", "%00"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_no_path_under_cache_reaches_the_upstream(asked: Stage, method: str, path: str) -> None:
    reply = httpx.request(method, f"{asked.gateway}/cache/{path}", headers={"authorization": "Bearer a-token"})

    assert reply.status_code == 404
    assert reply.json()["error"]["code"] == "not_found"


def main() -> None:
    most = int(sys.argv[1])
    with ExitStack() as stack:
        upstream = stack.enter_context(serving(FakeUpstream()))
        stage = stack.enter_context(gateway_over(Settings(upstream=upstream, store="memory", embedder="dct")))
        post(stage, card("48.20"))
        for operation in _OPERATIONS:
            hold(stage.gateway, operation, most)
            print(f"{operation}: {most} requests, nothing found", flush=True)


if __name__ == "__main__":
    main()
