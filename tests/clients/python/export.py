"""Sends traces with the OpenTelemetry SDK for Python, default settings but for the endpoint.

usage: export.py (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION TRACES

Each trace is a server span with two client children, one of them failed and carrying an exception event. Prints one
line of JSON: {"trace_ids": [...], "exported": bool}. Certificates and headers come from the SDK's own variables (OTEL_EXPORTER_OTLP_CERTIFICATE, ...).
"""
import json
import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode


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
        return format(root.get_span_context().trace_id, "032x")


def main():
    protocol, endpoint, compression, service, version, traces = sys.argv[1:]
    resource = Resource.create({"service.name": service, "service.version": version, "deployment.environment.name": "test"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter(protocol, endpoint, compression)))
    trace.set_tracer_provider(provider)
    tracer = trace.get_tracer("daytwo.e2e", "1.0")
    ids = [one_trace(tracer, number) for number in range(int(traces))]
    exported = provider.force_flush(10_000)
    provider.shutdown()
    print(json.dumps({"trace_ids": ids, "exported": exported}))


main()
