// Sends traces with the OpenTelemetry SDK for Node, default settings but for the endpoint.
//
// usage: export.mjs (grpc|proto|json) ENDPOINT (none|gzip) SERVICE VERSION TRACES
//
// Each trace is a server span with one client child. Prints one line of JSON: {"trace_ids": [...]}.
import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const [protocol, endpoint, compression, service, version, traces] = process.argv.slice(2);

function exporter() {
  if (protocol === 'grpc') return new GrpcExporter({ url: endpoint, compression });
  const url = `${endpoint}/v1/traces`;
  return protocol === 'json' ? new JsonExporter({ url, compression }) : new ProtoExporter({ url, compression });
}

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({
    'service.name': service,
    'service.version': version,
    'deployment.environment.name': 'test',
  }),
  spanProcessors: [new BatchSpanProcessor(exporter())],
});
const tracer = provider.getTracer('daytwo.e2e', '1.0');

function oneTrace(number) {
  const root = tracer.startSpan('POST /order', { kind: SpanKind.SERVER });
  root.setAttributes({ 'http.request.method': 'POST', 'http.response.status_code': 200, 'order.number': number });
  const child = tracer.startSpan('charge', { kind: SpanKind.CLIENT }, trace.setSpan(context.active(), root));
  child.recordException(new Error('card refused'));
  child.setStatus({ code: SpanStatusCode.ERROR, message: 'card refused' });
  child.end();
  root.end();
  return root.spanContext().traceId;
}

const ids = Array.from({ length: Number(traces) }, (_, number) => oneTrace(number));
await provider.forceFlush();
await provider.shutdown();
console.log(JSON.stringify({ trace_ids: ids }));
