"""A collector of traces on a loopback socket: understands what OTLP exporters send over HTTP, and fails when told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_S = 60.0


@dataclass
class Collector:
    """What has been received, and how it is answered."""

    url: str
    answers: threading.Event = field(default_factory=threading.Event)
    """Until it is set nobody is answered."""
    status: int = 200
    asked: int = 0
    """How often something was sent, refused batches included."""
    resource: dict[str, object] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def until_asked(self, times: int = 1) -> None:
        """Returns when something was sent so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.asked >= times, PATIENCE_S), self.asked

    def until_spans(self, count: int) -> None:
        """Returns when so many spans have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.spans) >= count, PATIENCE_S), self.spans

    def span(self, kind: Span.SpanKind.ValueType) -> Span:
        """Returns the only span of this kind."""
        (found,) = [span for span in self.spans if span.kind == kind]
        return found

    def take(self, path: str, body: bytes) -> None:
        """Takes a batch."""
        with self.changed:
            self.asked += 1
            if self.status == 200 and path == "/v1/traces":
                for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.resource |= values(group.resource.attributes)
                    self.spans += [span for scope in group.scope_spans for span in scope.spans]
            self.changed.notify_all()


def values(attributes: object) -> dict[str, object]:
    """Returns attributes as a dict; lists as tuples."""
    found: dict[str, object] = {}
    for each in attributes:  # type: ignore[attr-defined]  # protobuf's containers have no common name
        assert isinstance(each, KeyValue)
        kind = each.value.WhichOneof("value")
        assert kind is not None
        value = getattr(each.value, kind)
        found[each.key] = tuple(one.string_value for one in value.values) if kind == "array_value" else value
    return found


@contextmanager
def collecting(port: int = 0, *, answers: bool = True) -> Iterator[Collector]:
    """Serves meanwhile."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(self.path, body)
            collector.answers.wait(PATIENCE_S)
            try:
                self.send_response(collector.status)
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())
            except ConnectionError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = False
    collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
    if answers:
        collector.answers.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        collector.answers.set()
        server.shutdown()
        thread.join()
        server.server_close()
