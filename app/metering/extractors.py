"""The registry of extractors: which files read what a document says."""

from __future__ import annotations

from app.metering import anthropic, failures, llamacpp, openai, vllm
from app.metering.documents import Document
from app.metering.usage import Extractor, Tally

EXTRACTORS: dict[str, Extractor] = {
    # Anthropic's message_start is read before a usage on top, so that the later one overwrites it.
    "anthropic": anthropic.extract,
    "openai": openai.extract,
    "llama.cpp": llamacpp.extract,
    "vllm": vllm.extract,
    "failures": failures.extract,
}
"""Name of the dialect or back end -> what reads it, in the order of asking."""

_ALL = tuple(EXTRACTORS.values())


def extract(document: Document, tally: Tally) -> None:
    """Has *document* read by all of them."""
    for extractor in _ALL:
        extractor(document, tally)
