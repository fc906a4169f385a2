// A Collector of its own parts: receiver and exporter of OTLP with the batch processor between them, default settings but for
// the endpoint. Traces go into the receiver over gRPC, by a socket of this process.
//
// usage: collector (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION
//
// Each line of standard input is a number of traces to send through it; what became of them is a line of JSON on standard output, once
// its exporter has counted each span as sent or as given up: {"exported": [...], "failed": [...]}, each span as the hexadecimal digits
// of its trace's id and its own. Of spans that were given up the exporter tells no more than their number: then all of the line's are
// called failed. A trace is a server span with one client child that failed.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// tracesPerRequest makes several requests of a line, as the receiver of a busy Collector sees them.
const tracesPerRequest = 100

// report says what became of the spans of a line.
type report struct {
	Exported []string `json:"exported"`
	Failed   []string `json:"failed"`
}

func newTraces(service, version string, count int) (ptrace.Traces, []string) {
	traces := ptrace.NewTraces()
	resource := traces.ResourceSpans().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", service)
	resource.Resource().Attributes().PutStr("service.version", version)
	resource.Resource().Attributes().PutStr("deployment.environment.name", "test")
	spans := resource.ScopeSpans().AppendEmpty().Spans()
	var ids []string
	for range count {
		var traceID pcommon.TraceID
		var rootID, childID pcommon.SpanID
		for _, id := range [][]byte{traceID[:], rootID[:], childID[:]} {
			rand.Read(id)
		}
		now := time.Now()
		root, child := spans.AppendEmpty(), spans.AppendEmpty()
		for _, span := range []ptrace.Span{root, child} {
			span.SetTraceID(traceID)
			span.SetStartTimestamp(pcommon.NewTimestampFromTime(now.Add(-time.Millisecond)))
			span.SetEndTimestamp(pcommon.NewTimestampFromTime(now))
		}
		root.SetSpanID(rootID)
		root.SetName("POST /order")
		root.SetKind(ptrace.SpanKindServer)
		root.Attributes().PutStr("http.request.method", "POST")
		child.SetSpanID(childID)
		child.SetParentSpanID(rootID)
		child.SetName("charge")
		child.SetKind(ptrace.SpanKindClient)
		child.Status().SetCode(ptrace.StatusCodeError)
		ids = append(ids, traceID.String()+rootID.String(), traceID.String()+childID.String())
	}
	return traces, ids
}

// line sends traces into the receiver and waits for their fate.
func line(ctx context.Context, pipeline *pipeline, receiver ptraceotlp.GRPCClient, service, version string, count int) (report, error) {
	sentBefore, failedBefore, err := pipeline.spans(ctx)
	if err != nil {
		return report{}, err
	}
	ids := []string{}
	for left := count; left > 0; left -= tracesPerRequest {
		traces, some := newTraces(service, version, min(left, tracesPerRequest))
		if _, err := receiver.Export(ctx, ptraceotlp.NewExportRequestFromTraces(traces)); err != nil {
			return report{}, err
		}
		ids = append(ids, some...)
	}
	for {
		sent, failed, err := pipeline.spans(ctx)
		if err != nil {
			return report{}, err
		}
		if sent+failed-sentBefore-failedBefore == int64(len(ids)) {
			if failed == failedBefore {
				return report{Exported: ids, Failed: []string{}}, nil
			}
			return report{Exported: []string{}, Failed: ids}, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func run(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: collector (grpc|http) ENDPOINT (none|gzip) SERVICE VERSION")
	}
	ctx := context.Background()
	folder, err := os.MkdirTemp("", "collector")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	socket := filepath.Join(folder, "otlp.sock")
	pipeline, err := start(ctx, socket, args[0], args[1], args[2])
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient("unix:"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	receiver := ptraceotlp.NewGRPCClient(conn)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		count, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
		if err != nil {
			return err
		}
		report, err := line(ctx, pipeline, receiver, args[3], args[4], count)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
			return err
		}
	}
	return errors.Join(lines.Err(), conn.Close(), pipeline.shutdown(ctx))
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
