"""Sends traces with the OpenTelemetry SDK for Python, default settings but for the endpoint.

usage: export.py (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION

Each line of standard input is a number of traces to make and flush; what became of them is a line of JSON on standard output:
{"exported": [...], "failed": [...]}, each span as the hexadecimal digits of its trace's id and its own. A trace is a server span with
two client children, one of them failed and carrying an exception event. Certificates, headers and further settings come from the
SDK's own variables (OTEL_EXPORTER_OTLP_CERTIFICATE, ...).
"""
import json
import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode


class Ledger(SpanExporter):
    """Passes spans on and notes what the exporter says of each."""

    def __init__(self, inner):
        self.inner = inner
        self.forget()

    def forget(self):
        self.exported, self.failed = [], []

    def export(self, spans):
        result = self.inner.export(spans)
        fate = self.exported if result is SpanExportResult.SUCCESS else self.failed
        fate.extend(format(span.context.trace_id, "032x") + format(span.context.span_id, "016x") for span in spans)
        return result

    def shutdown(self):
        self.inner.shutdown()

    def report(self):
        print(json.dumps({"exported": self.exported, "failed": self.failed}), flush=True)
        self.forget()


def exporter(protocol, endpoint, compression):
    if protocol == "grpc":
        import grpc
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        chosen = grpc.Compression.Gzip if compression == "gzip" else grpc.Compression.NoCompression
        return OTLPSpanExporter(endpoint=endpoint, compression=chosen)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    chosen = Compression.Gzip if compression == "gzip" else Compression.NoCompression
    return OTLPSpanExporter(endpoint=endpoint + "/v1/traces", compression=chosen)


def one_trace(tracer, number):
    with tracer.start_as_current_span("POST /order", kind=SpanKind.SERVER) as root:
        root.set_attribute("http.request.method", "POST")
        root.set_attribute("http.response.status_code", 200)
        root.set_attribute("order.number", number)
        root.set_attribute("order.total", 12.5)
        root.set_attribute("order.tags", ["a", "b"])
        with tracer.start_as_current_span("SELECT stock", kind=SpanKind.CLIENT) as client:
            client.set_attribute("db.system.name", "postgresql")
        with tracer.start_as_current_span("charge", kind=SpanKind.CLIENT) as failed:
            failed.record_exception(ValueError("card refused"))
            failed.set_status(Status(StatusCode.ERROR, "card refused"))


def main():
    protocol, endpoint, compression, service, version = sys.argv[1:]
    resource = Resource.create({"service.name": service, "service.version": version, "deployment.environment.name": "test"})
    ledger = Ledger(exporter(protocol, endpoint, compression))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(ledger))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("daytwo.e2e", "1.0")
    for line in sys.stdin:
        for number in range(int(line)):
            one_trace(tracer, number)
        provider.force_flush()
        ledger.report()
    provider.shutdown()


main()
