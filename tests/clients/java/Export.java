import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanKind;
import io.opentelemetry.api.trace.StatusCode;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.context.Context;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.trace.SdkTracerProvider;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * Sends traces with the OpenTelemetry SDK for Java, set up by its own configuration, default settings but for the endpoint.
 *
 * <p>usage: Export (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION
 *
 * <p>Each line of standard input is a number of traces to make and flush; what became of them is a line of JSON on standard output:
 * {"exported": [...], "failed": [...]}, each span as the hexadecimal digits of its trace's id and its own. A trace is a server span
 * with one client child that failed. Further settings come from the SDK's own variables (OTEL_EXPORTER_OTLP_TIMEOUT, ...).
 */
public final class Export {
  /** Longer than any exporter tries. */
  private static final long FLUSH_SECONDS = 600;

  /** Passes spans on and notes what the exporter says of each. */
  private static final class Ledger implements SpanExporter {
    private final SpanExporter inner;
    private final List<String> exported = new ArrayList<>();
    private final List<String> failed = new ArrayList<>();

    Ledger(SpanExporter inner) {
      this.inner = inner;
    }

    @Override
    public CompletableResultCode export(Collection<SpanData> spans) {
      List<String> ids = spans.stream().map(span -> span.getTraceId() + span.getSpanId()).collect(Collectors.toList());
      CompletableResultCode result = inner.export(spans);
      CompletableResultCode noted = new CompletableResultCode();
      result.whenComplete(
          () -> {
            note(result.isSuccess() ? exported : failed, ids);
            if (result.isSuccess()) {
              noted.succeed();
            } else {
              noted.fail();
            }
          });
      return noted;
    }

    private synchronized void note(List<String> fate, List<String> ids) {
      fate.addAll(ids);
    }

    /** What became of the spans so far, which are forgotten. */
    synchronized String report() {
      String report = "{\"exported\": " + json(exported) + ", \"failed\": " + json(failed) + "}";
      exported.clear();
      failed.clear();
      return report;
    }

    private static String json(List<String> ids) {
      return ids.stream().collect(Collectors.joining("\", \"", ids.isEmpty() ? "[" : "[\"", ids.isEmpty() ? "]" : "\"]"));
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }

  private static Map<String, String> settings(String[] args) {
    Map<String, String> settings = new HashMap<>();
    settings.put("otel.exporter.otlp.protocol", args[0].equals("grpc") ? "grpc" : "http/protobuf");
    settings.put("otel.exporter.otlp.endpoint", args[1]);
    settings.put("otel.exporter.otlp.compression", args[2]);
    settings.put("otel.service.name", args[3]);
    settings.put("otel.resource.attributes", "service.version=" + args[4] + ",deployment.environment.name=test");
    settings.put("otel.metrics.exporter", "none");
    settings.put("otel.logs.exporter", "none");
    return settings;
  }

  private static void oneTrace(Tracer tracer, int number) {
    Span root = tracer.spanBuilder("POST /order").setSpanKind(SpanKind.SERVER).startSpan();
    root.setAttribute("http.request.method", "POST");
    root.setAttribute("http.response.status_code", 200);
    root.setAttribute("order.number", number);
    root.setAttribute(AttributeKey.stringArrayKey("order.tags"), List.of("a", "b"));
    Span child = tracer.spanBuilder("charge").setSpanKind(SpanKind.CLIENT).setParent(Context.root().with(root)).startSpan();
    child.recordException(new IllegalStateException("card refused"));
    child.setStatus(StatusCode.ERROR, "card refused");
    child.end();
    root.end();
  }

  /** Makes and flushes as many traces as each line says. */
  public static void main(String[] args) throws Exception {
    if (args.length != 5) {
      throw new IllegalArgumentException("usage: Export (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION");
    }
    List<Ledger> ledgers = new ArrayList<>();
    SdkTracerProvider provider =
        AutoConfiguredOpenTelemetrySdk.builder()
            .addPropertiesSupplier(() -> settings(args))
            .addSpanExporterCustomizer(
                (exporter, config) -> {
                  ledgers.add(new Ledger(exporter));
                  return ledgers.get(0);
                })
            .build()
            .getOpenTelemetrySdk()
            .getSdkTracerProvider();
    Tracer tracer = provider.get("daytwo.e2e", "1.0");
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      for (int number = 0; number < Integer.parseInt(line.trim()); number++) {
        oneTrace(tracer, number);
      }
      provider.forceFlush().join(FLUSH_SECONDS, TimeUnit.SECONDS);
      System.out.println(ledgers.get(0).report());
    }
    provider.shutdown().join(FLUSH_SECONDS, TimeUnit.SECONDS);
  }
}
