"""Volcengine's own SDK for Ark. It writes every field that was not set as null."""

import functools
from collections.abc import Callable
from typing import ClassVar

from tests.contracts.client_contract import MODEL, ClientContract, Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.openai_chat import ChatServer
from tests.flows.clients.openai_chat import messages, text
from tests.flows.clients.packages import client_package, connected

ark = client_package("volcenginesdkarkruntime")
errors = client_package("volcenginesdkarkruntime._exceptions")


class TestArk(ClientContract):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "ark")
    refusal = errors.ArkNotFoundError

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        client = connected("volcengine-python-sdk[ark]", gateway, Ark=ark.Ark)
        try:
            reply = client.chat.completions.create(model=MODEL, messages=messages(turns), stream=streamed)
            if not streamed:
                return Heard(reply.choices[0].message.content, reply.model_dump())
            chunks = list(reply)
            return Heard(text(chunks), [chunk.model_dump() for chunk in chunks])
        finally:
            client.close()
