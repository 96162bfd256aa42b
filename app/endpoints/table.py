"""THE TABLE of endpoints that name a model. What is routed, logged, metered and documented is derived from it.

Source of the rows: compatibility specification 3.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """Where a request names its model."""

    BODY = "body"
    """In its JSON, multipart or URL-encoded body; the Content-Type says which."""
    QUERY = "query"
    """In the query string."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row."""

    method: str
    path: str
    source: Source = Source.BODY
    strip: str = ""
    """Prefix taken off the path before it is forwarded."""

    @property
    def upstream_path(self) -> str:
        """The path the upstream is asked for."""
        return self.path.removeprefix(self.strip)


ENDPOINTS = (
    Endpoint("POST", "/v1/chat/completions"),
    Endpoint("POST", "/v1/messages"),
    Endpoint("POST", "/v1/responses"),
    Endpoint("POST", "/v1/completions"),
    Endpoint("POST", "/v1/embeddings"),
    Endpoint("POST", "/v1/messages/count_tokens"),
    Endpoint("POST", "/v1/rerank"),
    Endpoint("POST", "/v1/reranking"),
    Endpoint("POST", "/rerank"),
    Endpoint("POST", "/reranking"),
    Endpoint("POST", "/infill"),
    Endpoint("POST", "/completion"),
    Endpoint("POST", "/v1/audio/speech"),
    Endpoint("POST", "/v1/audio/transcriptions"),
    Endpoint("POST", "/v1/audio/voices"),
    Endpoint("GET", "/v1/audio/voices", Source.QUERY),
    Endpoint("POST", "/v1/images/generations"),
    Endpoint("POST", "/v1/images/edits"),
    Endpoint("POST", "/sdapi/v1/txt2img"),
    Endpoint("POST", "/sdapi/v1/img2img"),
    Endpoint("GET", "/sdapi/v1/loras", Source.QUERY),
    Endpoint("GET", "/props", Source.QUERY),
    Endpoint("POST", "/audioapi/v1/tasks/run", strip="/audioapi"),
    # For clients whose base URL ends in a version that is not `v1`.
    Endpoint("POST", "/v/chat/completions", strip="/v"),
    Endpoint("POST", "/v/messages", strip="/v"),
    Endpoint("POST", "/v/messages/count_tokens", strip="/v"),
    Endpoint("POST", "/v/responses", strip="/v"),
    Endpoint("POST", "/v/completions", strip="/v"),
    Endpoint("POST", "/v/embeddings", strip="/v"),
    Endpoint("POST", "/v/rerank", strip="/v"),
    Endpoint("POST", "/v/reranking", strip="/v"),
)
