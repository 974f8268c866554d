"""What is asked, and what is right. Every question, picture and wish follows from one seed.

A picture is a drawn card with a price, in one of several copies. The truth about a question is its `Key`: who asks,
in which format, about what, and the price on the card. An answer is a token that repeats the key, so an answer that
belongs to another question, another card or another tenant shows by itself.
"""

import base64
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image

from gateway.demo import cards

DIALECTS = {
    "openai-chat": "/v1/chat/completions",
    "openai-responses": "/v1/responses",
    "anthropic-messages": "/v1/messages",
    "ollama-chat": "/api/chat",
    "ollama-generate": "/api/generate",
    "dashscope": "/api/v1/services/aigc/multimodal-generation/generation",
    "service-inference": "/api/v1/services/qwen-vl-8b/inference",
}
NOBODY = "nobody"  # a tenant without any key
BUFFERED_ONLY = frozenset({"service-inference"})
_COPIES = ("png", "jpeg90", "jpeg75", "webp90", "small")
_WISHES: tuple[tuple[float, dict[str, str]], ...] = (
    (0.85, {}),
    (0.03, {"cache-control": "no-cache"}),
    (0.03, {"cache-control": "no-store"}),
    (0.03, {"cache-control": "max-age=2"}),
    (0.02, {"x-lookalike-mode": "exact"}),
    (0.02, {"x-lookalike-mode": "pixel"}),
    (0.02, {"x-lookalike-guard": "strict"}),
)


@dataclass(frozen=True, slots=True)
class Key:
    tenant: str
    dialect: str
    model: str
    about: str
    price: str

    def token(self, version: int) -> str:
        """Without a blank, so that it comes in one piece however a stream is cut."""
        return f"<{self.tenant}|{self.dialect}|{self.model}|{self.about}|{self.price}|v{version}>"


@dataclass(frozen=True, slots=True)
class Ask:
    number: int
    key: Key
    copy: str
    stream: bool
    wishes: dict[str, str] = field(hash=False)
    leaves_after_s: float | None = None


class World:
    def __init__(self, seed: int, prices: int = 16, tenants: int = 3, prompts: int = 3, leaving: float = 0.05) -> None:
        self._random = random.Random(seed)
        picked = self._random.sample(range(10_000), prices)
        self.prices = [f"{price // 100:02}.{price % 100:02}" for price in picked]
        self.tenants = [f"tenant{number}" for number in range(tenants)] or [NOBODY]
        self.prompts = [f"Question-{number}" for number in range(prompts)]
        self._leaving = leaving
        self._files = {(price, copy): drawn(price, copy) for price in self.prices for copy in _COPIES}
        self.price_of = {hashlib.sha256(file).digest(): price for (price, _), file in self._files.items()}

    def base64(self, ask: Ask) -> str:
        return base64.b64encode(self._files[ask.key.price, ask.copy]).decode()

    def asks(self, count: int) -> Iterator[Ask]:
        chance = self._random
        weights = [1 / (place + 2) for place in range(len(self.prices))]
        for number in range(count):
            dialect = chance.choice(list(DIALECTS))
            key = Key(
                chance.choice(self.tenants),
                dialect,
                "" if dialect in BUFFERED_ONLY else chance.choice(("qwen3-vl-8b", "qwen3-vl-8b-awq")),
                chance.choice(self.prompts),
                chance.choices(self.prices, weights)[0],
            )
            [wishes] = chance.choices([wish for _, wish in _WISHES], [weight for weight, _ in _WISHES])
            leaves = chance.uniform(0.0, 0.3) if chance.random() < self._leaving else None
            stream = dialect not in BUFFERED_ONLY and chance.random() < 0.5
            yield Ask(number, key, chance.choice(_COPIES), stream, wishes, leaves)


def drawn(price: str, copy: str) -> bytes:
    """Small, so that a machine with few cores gets through thousands of them."""
    card = cards.draw(price, body=(int(price[:2]) * 2 + 20, int(price[3:]) * 2 + 20, 90), seed=int(price[3:]))
    card = card.resize((400, 300), Image.Resampling.LANCZOS)
    match copy:
        case "png":
            return _saved(card, "PNG")
        case "small":
            return _saved(card.resize((340, 255), Image.Resampling.LANCZOS), "JPEG", quality=90)
        case _:
            return _saved(card, copy.rstrip("0123456789").upper(), quality=int(copy[-2:]))


def _saved(image: Image.Image, form: str, **options: int) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()
