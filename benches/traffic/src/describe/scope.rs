//! Instrumentation libraries.

use crate::shop::{Language, Protocol, Target};

/// An instrumentation scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// Name of the library.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

const fn scope(name: &'static str, version: &'static str) -> Scope {
    Scope { name, version }
}

pub(super) fn scope_of(language: Language, protocol: Protocol) -> Scope {
    match protocol {
        Protocol::Http { .. } => of_http(language),
        Protocol::Grpc { .. } => of_grpc(language),
        Protocol::Kafka { .. } => of_kafka(language),
    }
}

fn of_http(language: Language) -> Scope {
    match language {
        Language::Go => scope("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "0.63.0"),
        Language::Java => scope("io.opentelemetry.tomcat-10.0", "2.20.1-alpha"),
        Language::Node => scope("@opentelemetry/instrumentation-http", "0.205.0"),
        Language::Python => scope("opentelemetry.instrumentation.asgi", "0.58b0"),
        Language::Dotnet => scope("OpenTelemetry.Instrumentation.AspNetCore", "1.12.0"),
        Language::Rust => scope("axum-tracing-opentelemetry", "0.32.1"),
    }
}

fn of_grpc(language: Language) -> Scope {
    match language {
        Language::Go => scope("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "0.63.0"),
        Language::Java => scope("io.opentelemetry.grpc-1.6", "2.20.1-alpha"),
        Language::Node => scope("@opentelemetry/instrumentation-grpc", "0.205.0"),
        Language::Python => scope("opentelemetry.instrumentation.grpc", "0.58b0"),
        Language::Dotnet => scope("OpenTelemetry.Instrumentation.GrpcNetClient", "1.12.0-beta.1"),
        Language::Rust => scope("tonic-tracing-opentelemetry", "0.32.0"),
    }
}

fn of_kafka(language: Language) -> Scope {
    match language {
        Language::Python => scope("opentelemetry.instrumentation.confluent_kafka", "0.58b0"),
        _ => scope("github.com/IBM/sarama/otelsarama", "0.43.0"),
    }
}

pub(super) fn of_store(language: Language, target: &Target) -> Scope {
    match (target, language) {
        (Target::External { .. }, _) => of_http(language),
        (Target::Smtp, _) => of_app("email", language),
        (_, Language::Go) => scope("github.com/uptrace/opentelemetry-go-extra/otelsql", "0.3.2"),
        (_, Language::Java) => scope("io.opentelemetry.jdbc", "2.20.1-alpha"),
        (_, Language::Node) => scope("@opentelemetry/instrumentation-pg", "0.58.0"),
        (_, Language::Python) => scope("opentelemetry.instrumentation.psycopg", "0.58b0"),
        (_, Language::Dotnet) => scope("OpenTelemetry.Instrumentation.StackExchangeRedis", "1.12.0-beta.1"),
        (_, Language::Rust) => scope("sqlx-tracing", "0.2.1"),
    }
}

pub(super) fn of_app(service: &'static str, language: Language) -> Scope {
    scope(service, if matches!(language, Language::Java) { "6" } else { "1" })
}
