"""Python frameworks as clients, each in a process of its own: they keep connections and event loops until it ends."""

import functools
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from tests.contracts.client_contract import Turns
from tests.contracts.heard import Heard
from tests.fakes.servers.base import Server
from tests.fakes.servers.openai_chat import ChatServer
from tests.flows.clients.elsewhere import APART, ClientElsewhere
from tests.flows.clients.packages import line

_DRIVER = APART / "drive.py"
_APART_PYTHON = APART / ".venv/bin/python"


def folder(package: str) -> Path:
    """Where a package is; nowhere, if it is not installed."""
    found = importlib.util.find_spec(package)
    return Path(found.origin or "") if found else Path("not installed")


class Framework(ClientElsewhere):
    documented: ClassVar[str]
    refusal_kind = "NotFoundError"

    def ask(self, gateway: str, turns: Turns, streamed: bool) -> Heard:
        told = [
            {
                "role": turn.role,
                "text": turn.text,
                "pictures": [{"url": one.url, "base64": one.base64, "type": one.media_type} for one in turn.pictures],
            }
            for turn in turns
        ]
        return self.driver.ask(line=line(self.documented, gateway), turns=told, streamed=streamed)


@pytest.mark.slow
class TestLangChain(Framework):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "sglang")
    command = (sys.executable, _DRIVER, "langchain")
    installed = folder("langchain_openai")
    documented = "langchain-openai"
    refusal_kind = "OpenAIModelNotFoundError"


@pytest.mark.slow
class TestLiteLLM(Framework):
    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "dashscope")
    command = (sys.executable, _DRIVER, "litellm")
    installed = folder("litellm")
    documented = "litellm"


@pytest.mark.slow
class TestLlamaIndex(Framework):
    """It needs openai < 3, and so a virtual environment of its own."""

    server: ClassVar[Callable[[], Server]] = functools.partial(ChatServer, "lmdeploy")
    command = (_APART_PYTHON, _DRIVER, "llama-index")
    installed = _APART_PYTHON
    documented = "llama-index-llms-openai-like"
