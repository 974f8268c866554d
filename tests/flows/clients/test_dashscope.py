"""The official `dashscope` package: MultiModalConversation, in step and in asyncio, streams of both kinds."""

import asyncio
from typing import Any

from tests.contracts.client_contract import MODEL, ClientContract, Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.dashscope import DashScopeServer
from tests.flows.clients.packages import client_package, configured

dashscope = client_package("dashscope")


class Refused(Exception):
    """The package tells of errors in its responses, not by raising: this is one of those."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"{response.code}: {response.message}")
        self.status_code = response.status_code


def messages(turns: Turns) -> list[dict[str, Any]]:
    return [
        {
            "role": turn.role,
            "content": [*({"image": picture.url} for picture in turn.pictures), {"text": turn.text}],
        }
        for turn in turns
    ]


def heard(responses: list[Any], adding: bool = False) -> Heard:
    for response in responses:
        if response.status_code != 200:
            raise Refused(response)
    texts = ["".join(part["text"] for part in response.output.choices[0].message.content) for response in responses]
    held = [
        {name: response[name] for name in ("request_id", "output", "usage", "code", "message")}
        for response in responses
    ]
    return Heard("".join(texts) if adding else texts[-1], held)


class TestDashScope(ClientContract):
    server = DashScopeServer
    refusal = Refused
    incremental: bool | None = None

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        configured("dashscope", gateway, dashscope=dashscope)
        asked = {"model": MODEL, "messages": messages(turns), "api_key": "your-key", "temperature": 0.1}
        conversation = dashscope.MultiModalConversation
        if not streamed:
            return heard([conversation.call(**asked)])
        options = {} if self.incremental is None else {"incremental_output": self.incremental}
        return heard(list(conversation.call(**asked, stream=True, **options)), self.incremental is True)


class TestIncremental(TestDashScope):
    incremental = True


class TestMergedByTheClient(TestDashScope):
    """For some models the client asks for increments, whatever its user wants, and puts them together itself."""

    incremental = False


class TestAsync(TestDashScope):
    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        return asyncio.run(self._ask(gateway, turns, streamed))

    async def _ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        configured("dashscope", gateway, dashscope=dashscope)
        asked = {"model": MODEL, "messages": messages(turns), "api_key": "your-key"}
        conversation = dashscope.AioMultiModalConversation
        try:
            if not streamed:
                return heard([await conversation.call(**asked)])
            stream = await conversation.call(**asked, stream=True, incremental_output=True)
            return heard([response async for response in stream], adding=True)
        finally:
            await dashscope.api_entities.aio_session.close_shared_aio_session()
