import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Base

CHAT = "chat/completions"
UPSTREAMS = [
    *(
        "/",
        "",
        "/v1",
        "/v1/",
        "/compatible-mode/v1",
        "/api/v3",
        "/api/v3/",
        "/proxy",
        "/a/b/proxy/",
        "/v1beta",
        "/x/v2",
    ),
]


@pytest.mark.parametrize(
    ("upstream", "asked", "target"),
    [
        # http://host:8000
        ("/", f"/v1/{CHAT}", f"/v1/{CHAT}"),
        ("", f"/v1/{CHAT}", f"/v1/{CHAT}"),
        ("/", f"/{CHAT}", f"/v1/{CHAT}"),
        ("/", "/models", "/v1/models"),
        ("/", "/health", "/health"),
        ("/", "/v2/rerank", "/v2/rerank"),
        ("/", "/api/chat", "/api/chat"),
        ("/", "/", "/"),
        # http://host:8000/v1
        ("/v1", f"/v1/{CHAT}", f"/v1/{CHAT}"),
        ("/v1/", f"/v1/{CHAT}", f"/v1/{CHAT}"),
        ("/v1", f"/{CHAT}", f"/v1/{CHAT}"),
        ("/v1", "/v1/models", "/v1/models"),
        ("/v1", "/models/qwen%2Fvl", "/v1/models/qwen%2Fvl"),
        ("/v1", "/health", "/health"),
        ("/v1", "/metrics", "/metrics"),
        ("/v1", "/tokenize", "/tokenize"),
        # https://dashscope.aliyuncs.com/compatible-mode/v1
        ("/compatible-mode/v1", f"/v1/{CHAT}", f"/compatible-mode/v1/{CHAT}"),
        ("/compatible-mode/v1", f"/{CHAT}", f"/compatible-mode/v1/{CHAT}"),
        ("/compatible-mode/v1", f"/compatible-mode/v1/{CHAT}", f"/compatible-mode/v1/{CHAT}"),
        ("/compatible-mode/v1", "/v1/models", "/compatible-mode/v1/models"),
        ("/compatible-mode/v1", "/v1", "/compatible-mode/v1"),
        # https://ark.cn-beijing.volces.com/api/v3
        ("/api/v3", f"/{CHAT}", f"/api/v3/{CHAT}"),
        ("/api/v3", f"/api/v3/{CHAT}", f"/api/v3/{CHAT}"),
        ("/api/v3", f"/v3/{CHAT}", f"/api/v3/{CHAT}"),
        ("/api/v3", f"/v1/{CHAT}", f"/api/v3/{CHAT}"),
        ("/api/v3", "/contents/generations/tasks", "/api/v3/contents/generations/tasks"),
        # https://host/proxy: what comes behind is as the client wrote it
        ("/proxy", f"/v1/{CHAT}", f"/proxy/v1/{CHAT}"),
        ("/proxy", f"/{CHAT}", f"/proxy/{CHAT}"),
        ("/proxy", f"/proxy/v1/{CHAT}", f"/proxy/v1/{CHAT}"),
        ("/a/proxy", f"/proxy/v1/{CHAT}", f"/a/proxy/v1/{CHAT}"),
        ("/proxy", "/health", "/proxy/health"),
    ],
)
def test_base_and_path_are_joined_as_the_user_means_it(upstream: str, asked: str, target: str) -> None:
    assert target == Base.of(upstream).target(asked)


@pytest.mark.parametrize("upstream", UPSTREAMS)
@pytest.mark.parametrize("asked", [f"/v1/{CHAT}", f"/{CHAT}", "/v1/models", "/v1", "/models"])
def test_no_version_is_ever_doubled(upstream: str, asked: str) -> None:
    segments = Base.of(upstream).target(asked).split("/")

    assert "/v1/v1" not in "/".join(segments)
    assert sum(segment.startswith("v") for segment in segments) <= 1
    assert Base.of(upstream).target(asked).endswith(asked.removeprefix("/v1"))


@pytest.mark.parametrize("upstream", ["/", "/v1", "/compatible-mode/v1", "/api/v3"])
def test_with_or_without_a_version_in_the_clients_base_url_one_place_is_meant(upstream: str) -> None:
    base = Base.of(upstream)

    assert base.target(f"/{CHAT}") == base.target(f"/v1/{CHAT}")


@pytest.mark.parametrize("upstream", ["/", "/v1", "/compatible-mode/v1", "/proxy"])
@pytest.mark.parametrize("path", ["/v1/models/a%2Fb", "/x/%E4%B8%AD%20", "/x/%2e%2e/y", "/x//y/", "/x/a+b;c=d"])
def test_what_is_percent_encoded_or_odd_stays_as_it_came(upstream: str, path: str) -> None:
    assert Base.of(upstream).target(path).endswith(path.removeprefix("/v1"))


@pytest.mark.parametrize(
    ("upstream", "prefix", "version"),
    [
        ("/", (), None),
        ("/v1", (), "v1"),
        ("/compatible-mode/v1/", ("compatible-mode",), "v1"),
        ("//api//v3", ("api",), "v3"),
        ("/v1/proxy", ("v1", "proxy"), None),
        ("/v1beta2", (), "v1beta2"),
        ("/vision", ("vision",), None),
        ("/av1", ("av1",), None),
    ],
)
def test_a_version_is_told_from_a_prefix(upstream: str, prefix: tuple[str, ...], version: str | None) -> None:
    assert Base(prefix, version) == Base.of(upstream)


@given(
    st.sampled_from(UPSTREAMS), st.lists(st.sampled_from(["v1", "v3", "api", "chat", "proxy", "", "x%2Fy"]), max_size=5)
)
def test_every_target_lies_under_the_base_and_is_its_own_target(upstream: str, segments: list[str]) -> None:
    base = Base.of(upstream)
    target = base.target("/" + "/".join(segments))

    assert target.startswith("/" + "/".join(base.prefix))
    assert target == base.target(target)
