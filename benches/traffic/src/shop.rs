//! The shop as data: its services, what each of their operations does, and the journeys of its users.
//!
//! Nothing here is random or takes time; `simulate` walks these tables.

mod journeys;
mod operations;
mod services;

pub use journeys::{JOURNEYS, Journey};
pub use services::{SERVICES, Service};

/// Programming language of a service; decides its SDK, runtime and instrumentation libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// Go.
    Go,
    /// Java on the JVM.
    Java,
    /// JavaScript on Node.js.
    Node,
    /// Python.
    Python,
    /// C# on .NET.
    Dotnet,
    /// Rust.
    Rust,
}

/// How a service's SDK exports its spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Export {
    /// OTLP/gRPC without compression.
    Grpc,
    /// OTLP/gRPC with gzip.
    GrpcGzip,
    /// OTLP/HTTP, binary protobuf, without compression.
    Http,
    /// OTLP/HTTP, binary protobuf, with gzip.
    HttpGzip,
    /// OTLP/HTTP, JSON, without compression.
    HttpJson,
}

/// What carries a call to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP with a route template.
    Http {
        /// Request method.
        method: &'static str,
        /// Route template, e.g. `/product/{id}`.
        route: &'static str,
    },
    /// gRPC.
    Grpc {
        /// Full service name.
        service: &'static str,
        /// Method.
        method: &'static str,
    },
    /// A Kafka topic; the operation consumes its messages.
    Kafka {
        /// Topic.
        topic: &'static str,
    },
}

/// An exception that an operation or a data store call now and then raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// `exception.type`.
    pub kind: &'static str,
    /// `exception.message`.
    pub message: &'static str,
    /// HTTP status of the answer.
    pub http: i64,
    /// gRPC status of the answer.
    pub grpc: i64,
}

/// What a service does when called.
#[derive(Debug)]
pub struct Operation {
    /// `service.name` of the service that serves it.
    pub service: &'static str,
    /// Name of its server span.
    pub name: &'static str,
    /// What carries the call.
    pub protocol: Protocol,
    /// Median of its own work, without what it waits for, in milliseconds.
    pub self_ms: f64,
    /// Standard deviation of the logarithm of its own work.
    pub sigma: f64,
    /// Share of calls that fail by its own fault.
    pub fault: f64,
    /// How they fail.
    pub exception: Exception,
    /// What it does, one after the other, its own work spread between.
    pub steps: &'static [Step],
}

/// A call to a data store or to a system outside the shop: a CLIENT span without a server span.
#[derive(Debug)]
pub struct Query {
    /// What is called.
    pub target: Target,
    /// Span name.
    pub name: &'static str,
    /// Median of its duration in milliseconds.
    pub ms: f64,
    /// Standard deviation of the logarithm of its duration.
    pub sigma: f64,
    /// Share of calls that fail.
    pub fault: f64,
    /// How they fail.
    pub exception: Exception,
    /// Whether the caller tries once more after a failure; otherwise it goes on without the answer.
    pub retried: bool,
}

/// What a [`Query`] calls.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// A PostgreSQL database.
    Postgres {
        /// Database name.
        database: &'static str,
        /// Table.
        table: &'static str,
        /// SQL verb.
        verb: &'static str,
        /// Statement with placeholders.
        text: &'static str,
    },
    /// The Redis cache.
    Redis {
        /// Database index as text.
        database: &'static str,
        /// Command.
        command: &'static str,
        /// Key pattern with a placeholder.
        text: &'static str,
    },
    /// The search cluster.
    Elasticsearch {
        /// Index name.
        index: &'static str,
    },
    /// An HTTP API of somebody else.
    External {
        /// Host.
        host: &'static str,
        /// Request method.
        method: &'static str,
        /// Path.
        path: &'static str,
    },
    /// A mail relay.
    Smtp,
}

/// What the caller does when a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Fails too.
    Propagate,
    /// Goes on without the answer.
    Ignore,
    /// Waits a little and calls again, once; a second failure makes it fail too.
    Retry,
}

/// One step of an operation.
#[derive(Debug)]
pub enum Step {
    /// Calls another service: a CLIENT span here, a SERVER span there.
    Call(&'static Operation, OnFailure),
    /// Calls a data store.
    Query(&'static Query),
    /// Does the step in this share of the cases.
    Sometimes(f64, &'static Self),
    /// Does the step once for each of a few items: at least one, at most this many.
    EachItem(u32, &'static Self),
    /// Does all of them at the same time.
    Parallel(&'static [Self]),
    /// Works under an INTERNAL span of that name, for that median and spread.
    Internal(&'static str, f64, f64),
    /// Puts a message on a topic: a PRODUCER span here, and a trace of its own at the consumer, linked to it.
    Publish(&'static Operation),
}

#[cfg(test)]
mod tests;
