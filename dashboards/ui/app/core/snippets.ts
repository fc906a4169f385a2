// Exporter configuration to copy, for the languages most people start with.

export const LANGUAGES = [
  { id: "python", name: "Python" }, { id: "node", name: "Node.js" }, { id: "java", name: "Java" }, { id: "collector", name: "Collector" },
  { id: "env", name: "Any SDK" },
];

/** Configuration for `language`; the addresses are host:port. */
export function snippet(language: string, grpc: string, http: string): string {
  const environment = [
    "export OTEL_SERVICE_NAME=checkout",
    "export OTEL_RESOURCE_ATTRIBUTES=service.version=1.0.0,deployment.environment.name=dev",
    `export OTEL_EXPORTER_OTLP_ENDPOINT=http://${http}`,
    "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    "export OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none",
  ].join("\n");
  switch (language) {
    case "node":
      return `npm install @opentelemetry/api @opentelemetry/auto-instrumentations-node\n${environment}\nnode --require @opentelemetry/auto-instrumentations-node/register app.js`;
    case "java":
      return `${environment}\njava -javaagent:opentelemetry-javaagent.jar -jar app.jar`;
    case "collector":
      return [
        "exporters:", "  otlp/daytwo:", `    endpoint: ${grpc}`, "    tls:", "      insecure: true", "    compression: gzip",
        "service:", "  pipelines:", "    traces:", "      receivers: [otlp]", "      exporters: [otlp/daytwo]",
      ].join("\n");
    case "env":
      return environment;
    default:
      return `pip install opentelemetry-distro opentelemetry-exporter-otlp\nopentelemetry-bootstrap -a install\n${environment}\nopentelemetry-instrument python app.py`;
  }
}

/** One span over OTLP/HTTP JSON by curl; its ids come from the shell, so that each run is a new trace. */
export function testSpan(http: string, nowMs: number): string {
  const start = `${Math.floor(nowMs)}000000`;
  const end = `${Math.floor(nowMs) + 42}000000`;
  const attribute = (key: string, value: string): string => `{"key":"${key}","value":{"stringValue":"${value}"}}`;
  const resource = [attribute("service.name", "hello"), attribute("service.version", "1.0.0")].join(",");
  return [
    "trace=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \\n')", "span=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')",
    `curl -i http://${http}/v1/traces -H 'content-type: application/json' -d '{"resourceSpans":[{"resource":{"attributes":[${resource}]},`
      + `"scopeSpans":[{"spans":[{"traceId":"'$trace'","spanId":"'$span'","name":"GET /hello","kind":2,`
      + `"startTimeUnixNano":"${start}","endTimeUnixNano":"${end}"}]}]}]}'`,
  ].join("\n");
}
