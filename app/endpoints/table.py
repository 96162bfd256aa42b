"""THE TABLE of endpoints that name a model. What is routed, logged, metered and documented is derived from it.

Source of the rows: compatibility specification 3.5; of those that tell of loading, 5.7, and what others of that kind are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from app.proxy.loading_text import Grammar


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
    grammar: Grammar | None = None
    """What its streams consist of; None: no events, or nobody knows."""
    tells_loading: bool = False
    """Whether a stream begins at once with what is known of a model's loading, if the model wants that."""

    @property
    def upstream_path(self) -> str:
        """The path the upstream is asked for."""
        return self.path.removeprefix(self.strip)


ENDPOINTS = (
    Endpoint("POST", "/v1/chat/completions", grammar=Grammar.OPENAI, tells_loading=True),
    Endpoint("POST", "/v1/messages", grammar=Grammar.ANTHROPIC, tells_loading=True),
    Endpoint("POST", "/v1/responses", grammar=Grammar.RESPONSES, tells_loading=True),
    Endpoint("POST", "/v1/completions", grammar=Grammar.OPENAI),
    Endpoint("POST", "/v1/embeddings"),
    Endpoint("POST", "/v1/messages/count_tokens"),
    Endpoint("POST", "/v1/rerank"),
    Endpoint("POST", "/v1/reranking"),
    Endpoint("POST", "/rerank"),
    Endpoint("POST", "/reranking"),
    Endpoint("POST", "/infill", grammar=Grammar.OPENAI),
    Endpoint("POST", "/completion", grammar=Grammar.OPENAI),
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
    Endpoint("POST", "/v/chat/completions", strip="/v", grammar=Grammar.OPENAI),
    Endpoint("POST", "/v/messages", strip="/v", grammar=Grammar.ANTHROPIC),
    Endpoint("POST", "/v/messages/count_tokens", strip="/v"),
    Endpoint("POST", "/v/responses", strip="/v", grammar=Grammar.RESPONSES),
    Endpoint("POST", "/v/completions", strip="/v", grammar=Grammar.OPENAI),
    Endpoint("POST", "/v/embeddings", strip="/v"),
    Endpoint("POST", "/v/rerank", strip="/v"),
    Endpoint("POST", "/v/reranking", strip="/v"),
)
