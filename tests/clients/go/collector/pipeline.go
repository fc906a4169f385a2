package main

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/otlpexporter"
	"go.opentelemetry.io/collector/exporter/otlphttpexporter"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/batchprocessor"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// pipeline is otlp -> batch -> otlp.
type pipeline struct {
	parts   []component.Component // in the order of their start
	metrics *metric.ManualReader
}

// host has nothing that these parts ask for.
type host struct{}

func (host) GetExtensions() map[component.ID]component.Component { return nil }

func start(ctx context.Context, socket, protocol, endpoint, compression string) (*pipeline, error) {
	made := &pipeline{metrics: metric.NewManualReader()}
	log, err := zap.NewProduction()
	if err != nil {
		return nil, err
	}
	telemetry := component.TelemetrySettings{
		Logger:         log,
		TracerProvider: noop.NewTracerProvider(),
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(made.metrics)),
		Resource:       pcommon.NewResource(),
	}
	factory, config := otlpFactory(protocol, endpoint, compression)
	out, err := factory.CreateTraces(ctx, exporter.Settings{ID: component.NewID(factory.Type()), TelemetrySettings: telemetry}, config)
	if err != nil {
		return nil, err
	}
	batches := batchprocessor.NewFactory()
	batch, err := batches.CreateTraces(ctx, processor.Settings{ID: component.NewID(batches.Type()), TelemetrySettings: telemetry},
		batches.CreateDefaultConfig(), out)
	if err != nil {
		return nil, err
	}
	receivers := otlpreceiver.NewFactory()
	receiving := receivers.CreateDefaultConfig().(*otlpreceiver.Config)
	grpc := receiving.Protocols.GRPC.GetOrInsertDefault()
	grpc.NetAddr = confignet.AddrConfig{Endpoint: socket, Transport: confignet.TransportTypeUnix}
	in, err := receivers.CreateTraces(ctx, receiver.Settings{ID: component.NewID(receivers.Type()), TelemetrySettings: telemetry}, receiving, batch)
	if err != nil {
		return nil, err
	}
	made.parts = []component.Component{out, batch, in}
	for _, part := range made.parts {
		if err := part.Start(ctx, host{}); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// otlpFactory gives the exporter of a protocol and its default settings, but for the endpoint.
func otlpFactory(protocol, endpoint, compression string) (exporter.Factory, component.Config) {
	chosen := configcompression.Type("none")
	if compression == "gzip" {
		chosen = configcompression.TypeGzip
	}
	if protocol == "grpc" {
		factory := otlpexporter.NewFactory()
		config := factory.CreateDefaultConfig().(*otlpexporter.Config)
		config.ClientConfig.Endpoint = endpoint
		config.ClientConfig.Compression = chosen
		config.ClientConfig.TLS.Insecure = true
		return factory, config
	}
	factory := otlphttpexporter.NewFactory()
	config := factory.CreateDefaultConfig().(*otlphttpexporter.Config)
	config.ClientConfig.Endpoint = endpoint
	config.ClientConfig.Compression = chosen
	return factory, config
}

// spans gives the numbers of spans that the exporter has counted as sent and as given up.
func (p *pipeline) spans(ctx context.Context) (sent, failed int64, err error) {
	var all metricdata.ResourceMetrics
	if err := p.metrics.Collect(ctx, &all); err != nil {
		return 0, 0, err
	}
	for _, scope := range all.ScopeMetrics {
		for _, found := range scope.Metrics {
			count := &sent
			switch found.Name {
			case "otelcol_exporter_sent_spans":
			case "otelcol_exporter_send_failed_spans", "otelcol_exporter_enqueue_failed_spans":
				count = &failed
			default:
				continue
			}
			sum, ok := found.Data.(metricdata.Sum[int64])
			if !ok {
				return 0, 0, fmt.Errorf("%s is no sum", found.Name)
			}
			for _, point := range sum.DataPoints {
				*count += point.Value
			}
		}
	}
	return sent, failed, nil
}

// shutdown stops the parts, the receiver first.
func (p *pipeline) shutdown(ctx context.Context) error {
	var failed error
	for last := len(p.parts) - 1; last >= 0; last-- {
		failed = errors.Join(failed, p.parts[last].Shutdown(ctx))
	}
	return failed
}
