"""The batch endpoints, asked by the official openai SDK, which knows nothing of a gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from tests.fakes.pictures import card, data_url
from tests.flows.batches import create, jsonl, over, said, say, upload
from tests.flows.conftest import Build, Stage
from tests.flows.test_openai_sdk import ask, copy_of_48_20

BATCHES: dict[str, Any] = {"concurrency": 3, "retries": 0}


def client_of(stage: Stage, key: str = "sk-one") -> OpenAI:
    return OpenAI(base_url=f"{stage.gateway}/v1", api_key=key, max_retries=0)


@pytest.fixture
def stage(build: Build) -> Stage:
    return build(batches=BATCHES)


@pytest.fixture
def client(stage: Stage) -> Iterator[OpenAI]:
    with client_of(stage) as client:
        yield client


def price(name: str, url: str) -> dict[str, Any]:
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": ask(url)}


def test_a_batch_is_answered_through_the_cache_and_fills_it(stage: Stage, client: OpenAI):
    first = client.chat.completions.create(**ask(data_url(card("48.20"))))
    batch = create(client, price("copy", copy_of_48_20()), price("new", data_url(card("07.10"))), metadata={"job": "7"})

    assert batch.status == "validating"
    assert batch.expires_at == batch.created_at + 86_400

    batch = over(client, batch)

    assert batch.status == "completed"
    assert batch.metadata == {"job": "7"}
    assert batch.request_counts.model_dump() == {"total": 2, "completed": 2, "failed": 0}
    assert batch.error_file_id is None
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert said(client, batch) == {"copy": first.choices[0].message.content, "new": "prices: 07.10"}
    assert stage.upstream.calls == 2

    again = client.chat.completions.with_raw_response.create(**ask(data_url(card("07.10"))))

    assert "; hit; " in again.headers["cache-status"]
    assert stage.stats()["requests"] == 4


def test_the_files_of_a_batch_are_listed_read_and_deleted(client: OpenAI):
    data = jsonl(say(1))
    made = client.files.create(file=("../some/in.jsonl", data), purpose="batch")

    assert (made.filename, made.bytes, made.purpose, made.object) == ("in.jsonl", len(data), "batch", "file")
    assert client.files.content(made.id).content == data
    assert client.files.retrieve(made.id) == made
    assert client.files.delete(made.id).deleted
    with pytest.raises(NotFoundError):
        client.files.retrieve(made.id)
    with pytest.raises(NotFoundError):
        client.files.content(made.id)


def test_lists_are_turned_page_by_page(client: OpenAI):
    files = [upload(client, jsonl(say(number))) for number in range(5)]
    wanted: Any = {"endpoint": "/v1/chat/completions", "completion_window": "24h"}
    batches = [client.batches.create(input_file_id=name, **wanted).id for name in files]
    for name in batches:
        over(client, name)

    assert [one.id for one in client.batches.list(limit=2)] == batches[::-1]
    assert [one.id for one in client.files.list(limit=2, order="asc", purpose="batch")] == files
    assert len(list(client.files.list())) == 5 + len(list(client.files.list(purpose="batch_output")))
    assert client.batches.list(limit=2).has_more
    assert not client.batches.list(limit=5).has_more
    with pytest.raises(BadRequestError, match="limit must be from 1 to 100"):
        client.batches.list(limit=101)
    with pytest.raises(BadRequestError, match="go on after"):
        client.batches.list(after="batch_of_nobody")


@pytest.mark.anyio
async def test_the_async_client_is_served_as_well(stage: Stage):
    async with AsyncOpenAI(base_url=f"{stage.gateway}/v1", api_key="sk-one", max_retries=0) as client:
        file = await client.files.create(file=("in.jsonl", jsonl(price("a", data_url(card("07.10"))))), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while batch.status in ("validating", "in_progress", "finalizing"):
            batch = await client.batches.retrieve(batch.id)

        assert [one.id async for one in client.batches.list()] == [batch.id]
        assert batch.output_file_id is not None
        assert b"prices: 07.10" in (await client.files.content(batch.output_file_id)).content
        assert (await client.files.delete(batch.output_file_id)).deleted


def test_another_key_sees_nothing_of_it(stage: Stage, client: OpenAI):
    batch = over(client, create(client, say(1)))
    with client_of(stage, "sk-two") as other:
        for call in (
            lambda: other.files.retrieve(batch.input_file_id),
            lambda: other.files.content(batch.input_file_id),
            lambda: other.files.delete(batch.input_file_id),
            lambda: other.batches.retrieve(batch.id),
            lambda: other.batches.cancel(batch.id),
        ):
            with pytest.raises(NotFoundError, match="of yours"):
                call()
        with pytest.raises(BadRequestError, match="there is no file"):
            other.batches.create(
                input_file_id=batch.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            )

        assert list(other.files.list()) == list(other.batches.list()) == []
    assert client.files.content(batch.input_file_id).content == jsonl(say(1))


@pytest.mark.parametrize(
    ("lines", "errors"),
    [
        ([say(1), say(1)], [(2, 'has the custom_id "r1" of line 1')]),
        ([say(1, method="GET"), say(2), {"custom_id": "x"}], [(1, 'only "POST"'), (3, "has the method null")]),
        ([say(1, url="/v1/responses")], [(1, "that of the batch is '/v1/chat/completions'")]),
        ([say(1) | {"body": {"stream": True}}], [(1, "asks for a stream")]),
        ([], [(None, "the file has no line")]),
    ],
)
def test_bad_lines_fail_the_batch_before_anything_is_asked(
    stage: Stage, client: OpenAI, lines: list[dict[str, Any]], errors: list[tuple[int | None, str]]
):
    batch = over(client, create(client, *lines))

    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors is not None
    assert batch.output_file_id is batch.error_file_id is None
    told = [(one.line, one.message) for one in batch.errors.data or []]
    assert [line for line, _ in told] == [line for line, _ in errors]
    assert all(words in (message or "") for (_, words), (_, message) in zip(errors, told, strict=True))
    assert stage.upstream.calls == 0


def test_a_file_that_is_no_batch_input_is_refused(client: OpenAI):
    with pytest.raises(BadRequestError, match="the purpose must be 'batch', not 'vision'") as refused:
        client.files.create(file=("a.png", b"..."), purpose="vision")

    assert refused.value.param == "purpose"
    assert refused.value.type == "invalid_request_error"

    batch = over(client, create(client, price("a", data_url(card("07.10")))))
    assert batch.output_file_id is not None
    with pytest.raises(BadRequestError, match='has the purpose "batch_output"'):
        client.batches.create(
            input_file_id=batch.output_file_id, endpoint="/v1/chat/completions", completion_window="24h"
        )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"a": "b" * 513}}, "512"),
        ({"metadata": {str(number): "b" for number in range(17)}}, "metadata"),
        ({"extra_body": {"priority": 1}}, "priority"),
        ({"extra_headers": {"X-Lookalike-Mode": "loose"}}, "X-Lookalike-Mode"),
    ],
)
def test_a_batch_that_nobody_can_make_is_refused(client: OpenAI, given: dict[str, Any], words: str):
    with pytest.raises(BadRequestError, match=words):
        create(client, say(1), **given)


def test_what_the_upstream_refuses_is_in_the_error_file(stage: Stage, client: OpenAI):
    bad = price("bad", data_url(card("07.10")))
    batch = over(
        client,
        client.batches.create(
            input_file_id=upload(client, jsonl(bad, say(2))),
            endpoint="/v1/chat/completions",
            completion_window="24h",
        ),
    )

    assert batch.status == "completed"
    assert stage.upstream.calls == 2


def test_where_they_are_off_their_paths_are_the_upstreams(build: Build):
    stage = build()
    with client_of(stage) as client:
        client.files.with_raw_response.list()

    assert [seen.path for seen in stage.upstream.seen] == ["/v1/files"]
    assert not (Path(str(stage.app.state.running.settings.cache_dir)) / "batches").exists()
    assert stage.stats()["batches"] == "off"


def test_unusable_requests_are_refused_in_openais_shape(stage: Stage):
    url = f"{stage.gateway}/v1"
    for reply, status, words in (
        (httpx.put(f"{url}/files", content=b"x"), 405, "use GET or POST here"),
        (httpx.post(f"{url}/files", content=b"x"), 400, "multipart/form-data"),
        (httpx.post(f"{url}/files", files={"file": b"x"}, data={"purpose": "batch" * 300}), 400, "longer than"),
        (httpx.post(f"{url}/files", files={"other": b"x"}), 400, "another field"),
        (httpx.post(f"{url}/batches", content=b"{}"), 400, "application/json"),
        (httpx.post(f"{url}/batches", json=[]), 400, "the body"),
        (httpx.get(f"{url}/files", headers={"Sec-Fetch-Site": "cross-site"}), 403, "another site"),
        (httpx.get(f"{url}/files?api-key=k"), 400, "send your key in a header field"),
        (httpx.post(f"{url}/batches/batch_x/cancel"), 404, "there is no batch"),
    ):
        error = reply.json()["error"]

        assert (reply.status_code, error["type"]) == (status, "invalid_request_error"), error
        assert words in error["message"]


def test_what_is_too_large_is_refused_and_leaves_nothing(build: Build, tmp_path: Path):
    stage = build(batches={"file_bytes_max": 10_000, "disk_bytes_max": 15_000})
    with client_of(stage) as client:
        upload(client, b"x" * 9000)
        with pytest.raises(Exception, match="a file may have 10000 bytes"):
            upload(client, b"x" * 10_001)
        with pytest.raises(Exception, match="files take 9000 of 15000 bytes") as full:
            upload(client, b"x" * 9000)

        assert full.value.status_code == 507  # type: ignore[attr-defined]
        assert full.value.response.headers["x-should-retry"] == "false"  # type: ignore[attr-defined]
        assert [one.bytes for one in client.files.list()] == [9000]
        assert len(list((tmp_path / "cache" / "batches" / "files").iterdir())) == 1
        client.files.delete(client.files.list().data[0].id)
        upload(client, b"x" * 9000)
