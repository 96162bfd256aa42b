from __future__ import annotations

from app.endpoints.table import ENDPOINTS, Source

VERSIONLESS = [
    "/chat/completions",
    "/responses",
    "/completions",
    "/messages",
    "/messages/count_tokens",
    "/embeddings",
    "/rerank",
    "/reranking",
]


def test_rows_are_those_of_the_specification() -> None:
    """Section 3.5."""
    posts = [
        "/v1/chat/completions",
        "/v1/responses",
        "/v1/completions",
        "/v1/messages",
        "/v1/messages/count_tokens",
        "/v1/embeddings",
        "/reranking",
        "/rerank",
        "/v1/rerank",
        "/v1/reranking",
        "/infill",
        "/completion",
        "/v1/audio/speech",
        "/v1/audio/voices",
        "/v1/images/generations",
        "/sdapi/v1/txt2img",
        "/sdapi/v1/img2img",
        "/v1/audio/transcriptions",
        "/v1/images/edits",
    ]
    expected = {("POST", path, Source.BODY, path) for path in posts}
    expected |= {("POST", "/v" + path, Source.BODY, path) for path in VERSIONLESS}
    expected |= {("POST", "/audioapi/v1/tasks/run", Source.BODY, "/v1/tasks/run")}
    expected |= {("GET", path, Source.QUERY, path) for path in ("/v1/audio/voices", "/sdapi/v1/loras", "/props")}

    rows = [(row.method, row.path, row.source, row.upstream_path) for row in ENDPOINTS]

    assert len(rows) == len(set(rows))
    assert set(rows) == expected
