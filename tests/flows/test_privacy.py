"""privacy = "strict", end to end: near hits while the gateway runs, and no picture in any byte that it wrote."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openai import OpenAI

from embeddings.dct import DctEmbedder
from gateway.config import Settings
from gateway.demo import cards
from tests.fakes.pictures import card, data_url, jpeg, png, webp
from tests.fakes.upstream import FakeUpstream
from tests.flows.conftest import Stage, gateway_over, serving, wait_until_ready
from tests.flows.test_openai_sdk import ask

PROMPT, CREDENTIAL = "What does this very private card cost?", "sk-very-secret"
RECODED = data_url(jpeg(cards.draw("48.20"), 70), "image/jpeg")
SAME_PIXELS = data_url(png(cards.draw("48.20"), compress_level=1))
PICTURE_FILES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"WEBP", b"IHDR", b"JFIF", b"LKE2", b"iVBORw0KGgo", b"/9j/")


@contextmanager
def gateway(upstream: str, folder: Path, **settings: Any) -> Iterator[Stage]:
    chosen = Settings(**{"upstream": upstream, "cache_dir": folder, "embedder": "dct", "privacy": "strict"} | settings)
    with gateway_over(chosen) as stage:
        wait_until_ready(stage)
        yield stage


@pytest.fixture
def upstream() -> Iterator[str]:
    with serving(FakeUpstream()) as url:
        yield url


def detail(stage: Stage, url: str, keep: bool = False) -> str:
    fields = {} if keep else {"Cache-Control": "no-store"}
    with OpenAI(base_url=f"{stage.gateway}/v1", api_key=CREDENTIAL, max_retries=0) as client:
        asked = ask(url, question=PROMPT)
        reply = client.chat.completions.with_raw_response.create(**asked, extra_headers=fields)
    assert reply.parse().choices[0].message.content == "prices: 48.20"
    return reply.headers["cache-status"].rpartition("detail=")[2]


def written(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def traces(folder: Path) -> list[bytes]:
    """What is on disk that shows a picture, its prompt or who asked."""
    vectors = DctEmbedder().embed([np.asarray(cards.draw("48.20").convert("RGB"))])
    raw = vectors.astype("<f4").tobytes()
    wanted = (*PICTURE_FILES, raw[:16], raw[100:116], raw[-16:], PROMPT.encode(), CREDENTIAL.encode())
    return [trace for trace in wanted if trace in written(folder)]


def test_near_hits_reach_what_was_answered_since_the_start_and_exact_and_pixel_hits_everything(
    upstream: str, tmp_path: Path
):
    with gateway(upstream, tmp_path) as stage:
        assert detail(stage, data_url(card("48.20")), keep=True) == "first-asked"
        assert detail(stage, RECODED) == "near"
        assert detail(stage, SAME_PIXELS) == "pixel"
    with gateway(upstream, tmp_path) as stage:
        assert detail(stage, data_url(card("48.20"))) == "exact"
        assert detail(stage, SAME_PIXELS) == "pixel"
        assert detail(stage, RECODED, keep=True) == "new-picture"
        assert detail(stage, data_url(jpeg(cards.draw("48.20"), 90), "image/jpeg")) == "near"


def test_no_byte_on_disk_shows_a_picture_a_prompt_or_a_credential(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path) as stage:
        for file in (card("48.20"), jpeg(cards.draw("48.20"), 90), webp(cards.draw("48.20"), 40)):
            detail(stage, data_url(file), keep=True)
        detail(stage, RECODED)
        running = traces(tmp_path)
        assert stage.stats()["store"]["entries"] >= 1
    assert b"prices: 48.20" in written(tmp_path)  # answers are on disk as they came
    assert (running, traces(tmp_path)) == ([], [])


def test_the_same_search_finds_the_evidence_of_a_standard_store(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path, privacy="standard") as stage:
        detail(stage, data_url(card("48.20")), keep=True)

    found = traces(tmp_path)
    assert b"LKE2" in found
    assert len([trace for trace in found if len(trace) == 16]) == 3  # the vector
    assert not {PROMPT.encode(), CREDENTIAL.encode()} & set(found)


def test_a_standard_store_opened_as_strict_is_cleaned_and_goes_on_serving(
    upstream: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with gateway(upstream, tmp_path, privacy="standard") as stage:
        detail(stage, data_url(card("48.20")), keep=True)
    with gateway(upstream, tmp_path) as stage:
        assert traces(tmp_path) == []
        assert detail(stage, data_url(card("48.20"))) == "exact"
        assert detail(stage, RECODED) == "new-picture"

    erased = [record for record in caplog.records if "evidence of 1 stored answers are erased" in record.getMessage()]
    assert [record.levelno for record in erased] == [logging.WARNING]


def test_what_strict_privacy_limits_is_said(upstream: str, tmp_path: Path):
    with gateway(upstream, tmp_path / "strict") as stage:
        health, stats = stage.health()["privacy"], stage.stats()["privacy"]
    with gateway(upstream, tmp_path / "standard", privacy="standard") as stage:
        assert stage.health()["privacy"] == {"kept": "standard"}

    assert health == stats
    assert health["kept"] == "strict"
    assert "only pictures answered since the gateway started" in health["limits"]
