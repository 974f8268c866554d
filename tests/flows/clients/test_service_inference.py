"""`POST …/services/{name}/inference` has no package of its own: plain HTTP, and no stream that anybody knows."""

import httpx

from tests.contracts.client_contract import ClientContract, Turns, one, original
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Object, Server
from tests.fakes.servers.dashscope import InferenceServer
from tests.flows.clients.openai_chat import messages
from tests.flows.clients.packages import connected
from tests.flows.conftest import Stage

PATH = "services/qwen-vl-8b/inference"


def asked(turns: Turns, **parameters: object) -> Object:
    settings = {"max_new_tokens": 512, "temperature": 0.01, "top_p": 0.8, **parameters}
    return {"model": "qwen-vl-8b", "input": {"messages": messages(turns)}, "parameters": settings}


def client(gateway: str) -> httpx.Client:
    made: httpx.Client = connected("httpx, services/{name}/inference", gateway, Client=httpx.Client)
    return made


class TestServiceInference(ClientContract):
    server = InferenceServer
    refusal = httpx.HTTPStatusError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        """`streamed` only reads the one reply piece by piece."""
        with client(gateway) as http, http.stream("POST", PATH, json=asked(turns)) as response:
            body = b"".join(response.iter_bytes(16)) if streamed else response.read()
            response.raise_for_status()
        reply = httpx.Response(200, content=body).json()
        return Heard(reply["output"]["text"], reply)

    def status(self, refusal: httpx.HTTPStatusError) -> int:
        return refusal.response.status_code

    def test_a_stream_that_breaks_off_is_broken_off_for_the_client_and_not_kept(
        self, stage: Stage, upstream: Server
    ) -> None:
        """Whether it breaks off or not: a wish for a stream only passes."""
        with client(stage.gateway) as http:
            for _ in range(2):
                reply = http.post(PATH, json=asked(one(original("48.20")), stream=True)).raise_for_status()
                assert reply.headers["cache-status"] == "lookalike; fwd=bypass; detail=unknown-shape"
        assert upstream.calls == 2
        assert stage.stats()["store"]["entries"] == 0
