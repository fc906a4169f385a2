// Sends traces with the OpenTelemetry SDK for Node, default settings but for the endpoint.
//
// usage: export.mjs (grpc|http|json) ENDPOINT (none|gzip) SERVICE VERSION
//
// Each line of standard input is a number of traces to make and flush; what became of them is a line of JSON on standard output:
// {"exported": [...], "failed": [...]}, each span as the hexadecimal digits of its trace's id and its own. A trace is a server span
// with one client child that failed. Further settings come from the SDK's own variables (OTEL_EXPORTER_OTLP_TIMEOUT, ...).
import { createInterface } from 'node:readline';
import { SpanKind, SpanStatusCode, context, trace } from '@opentelemetry/api';
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { OTLPTraceExporter as ProtoExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node';

const [protocol, endpoint, compression, service, version] = process.argv.slice(2);

function exporter() {
  if (protocol === 'grpc') return new GrpcExporter({ url: endpoint, compression });
  const url = `${endpoint}/v1/traces`;
  return protocol === 'json' ? new JsonExporter({ url, compression }) : new ProtoExporter({ url, compression });
}

// Passes spans on and notes what the exporter says of each.
class Ledger {
  constructor(inner) {
    this.inner = inner;
    this.fates = { exported: [], failed: [] };
    this.noted = () => {};
  }

  export(spans, done) {
    this.inner.export(spans, (result) => {
      const fate = result.code === 0 ? this.fates.exported : this.fates.failed;
      fate.push(...spans.map((span) => span.spanContext().traceId + span.spanContext().spanId));
      this.noted();
      done(result);
    });
  }

  // Waits for the fates of so many spans: a flush is over as soon as one of its batches has failed.
  async knows(spans) {
    while (this.fates.exported.length + this.fates.failed.length < spans) {
      await new Promise((noted) => (this.noted = noted));
    }
  }

  forceFlush() {
    return this.inner.forceFlush();
  }

  shutdown() {
    return this.inner.shutdown();
  }

  report() {
    console.log(JSON.stringify(this.fates));
    this.fates = { exported: [], failed: [] };
  }
}

const ledger = new Ledger(exporter());
const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({
    'service.name': service,
    'service.version': version,
    'deployment.environment.name': 'test',
  }),
  spanProcessors: [new BatchSpanProcessor(ledger)],
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
}

for await (const line of createInterface({ input: process.stdin })) {
  for (let number = 0; number < Number(line); number += 1) oneTrace(number);
  // What could not be exported stands in the report.
  await provider.forceFlush().catch((error) => console.error(String(error)));
  await ledger.knows(2 * Number(line));
  ledger.report();
}
await provider.shutdown();
