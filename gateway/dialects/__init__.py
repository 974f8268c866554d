"""The dialects that the gateway reads. A new one is one file and one line here.

Order matters only where two claim one path; none do.
"""

from gateway.dialects.anthropic import AnthropicMessages
from gateway.dialects.base import Dialect
from gateway.dialects.dashscope import DashScope
from gateway.dialects.ollama import OllamaChat, OllamaGenerate
from gateway.dialects.openai_chat import OpenAIChat
from gateway.dialects.openai_responses import OpenAIResponses
from gateway.dialects.service_inference import ServiceInference

DIALECTS: tuple[Dialect, ...] = (
    OpenAIChat(),
    OpenAIResponses(),
    AnthropicMessages(),
    OllamaChat(),
    OllamaGenerate(),
    DashScope(),
    ServiceInference(),
)


def claim(method: str, path: str) -> Dialect | None:
    """The dialect of this request, by method and path alone: never by host, Accept or user agent."""
    if method != "POST":
        return None
    return next((dialect for dialect in DIALECTS if dialect.claims(path)), None)
