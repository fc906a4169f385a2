// Sends traces with the OpenTelemetry SDK for Go, default settings but for the endpoint.
//
// usage: export (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION
//
// Each line of standard input is a number of traces to make and flush; what became of them is a line of JSON on standard output:
// {"exported": [...], "failed": [...]}, each span as the hexadecimal digits of its trace's id and its own. A trace is a server span
// with one client child that failed. Further settings come from the SDK's own variables (OTEL_EXPORTER_OTLP_TIMEOUT, ...).
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// ledger passes spans on and notes what the exporter says of each.
type ledger struct {
	sdk.SpanExporter
	lock     sync.Mutex
	Exported []string `json:"exported"`
	Failed   []string `json:"failed"`
}

func (l *ledger) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := l.SpanExporter.ExportSpans(ctx, spans)
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, span := range spans {
		id := span.SpanContext().TraceID().String() + span.SpanContext().SpanID().String()
		if err == nil {
			l.Exported = append(l.Exported, id)
		} else {
			l.Failed = append(l.Failed, id)
		}
	}
	return err
}

// report prints what became of the spans so far, and forgets them.
func (l *ledger) report() error {
	l.lock.Lock()
	defer l.lock.Unlock()
	err := json.NewEncoder(os.Stdout).Encode(l)
	l.Exported, l.Failed = []string{}, []string{}
	return err
}

func exporter(ctx context.Context, protocol, endpoint, compression string) (sdk.SpanExporter, error) {
	if protocol == "grpc" {
		options := []otlptracegrpc.Option{otlptracegrpc.WithEndpointURL(endpoint)}
		if compression == "gzip" {
			options = append(options, otlptracegrpc.WithCompressor("gzip"))
		}
		return otlptracegrpc.New(ctx, options...)
	}
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(endpoint + "/v1/traces")}
	if compression == "gzip" {
		options = append(options, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	return otlptracehttp.New(ctx, options...)
}

func oneTrace(tracer trace.Tracer, number int) {
	ctx, root := tracer.Start(context.Background(), "POST /order", trace.WithSpanKind(trace.SpanKindServer))
	defer root.End()
	root.SetAttributes(attribute.String("http.request.method", "POST"), attribute.Int("http.response.status_code", 200),
		attribute.Int("order.number", number), attribute.StringSlice("order.tags", []string{"a", "b"}))
	_, child := tracer.Start(ctx, "charge", trace.WithSpanKind(trace.SpanKindClient))
	defer child.End()
	child.RecordError(errors.New("card refused"))
	child.SetStatus(codes.Error, "card refused")
}

func run(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: export (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION")
	}
	ctx := context.Background()
	exporter, err := exporter(ctx, args[0], args[1], args[2])
	if err != nil {
		return err
	}
	described, err := resource.Merge(resource.Default(), resource.NewSchemaless(attribute.String("service.name", args[3]),
		attribute.String("service.version", args[4]), attribute.String("deployment.environment.name", "test")))
	if err != nil {
		return err
	}
	seen := &ledger{SpanExporter: exporter, Exported: []string{}, Failed: []string{}}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(seen), sdk.WithResource(described))
	tracer := provider.Tracer("daytwo.e2e", trace.WithInstrumentationVersion("1.0"))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		traces, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			return err
		}
		for number := range traces {
			oneTrace(tracer, number)
		}
		// What could not be exported stands in the report.
		if err := provider.ForceFlush(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		if err := seen.report(); err != nil {
			return err
		}
	}
	return errors.Join(lines.Err(), provider.Shutdown(ctx))
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
