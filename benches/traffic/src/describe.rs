//! Names, kinds, attributes, events and statuses of spans, after the OpenTelemetry semantic conventions.

mod scope;

use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::attributes::Attributes;
use crate::pods::{Pod, PodId, Pods};
use crate::shop::{Exception, Language, Operation, Protocol, Query, SERVICES, Service};
use crate::visit::Visit;
pub use scope::Scope;
use scope::scope_of;

/// Where a span is made: everything its attributes may speak of.
pub(crate) struct Scene<'a> {
    pub(crate) pods: &'a Pods,
    pub(crate) rng: &'a mut StdRng,
    pub(crate) visit: &'a Visit,
    pub(crate) pod: PodId,
    pub(crate) service: &'static str,
    pub(crate) operation: &'static str,
}

/// How the work under a span ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) failure: Option<Exception>,
    /// Whether the exception was raised under this very span, which then records it as an event.
    pub(crate) raised_here: bool,
}

const FINE: Outcome = Outcome { failure: None, raised_here: false };

/// A span without ids and times.
pub(crate) struct Described {
    pub(crate) scope: Scope,
    pub(crate) span: Span,
}

/// A SERVER span, or the CONSUMER span of a message.
pub(crate) fn served(scene: &mut Scene<'_>, operation: &Operation, peer: Option<PodId>, outcome: Outcome) -> Described {
    let peer_ip = scene.pods.get(peer.unwrap_or(PodId(usize::MAX))).map(|pod| pod.ip.clone());
    let peer_ip = peer_ip.unwrap_or_else(|| scene.visit.client_ip.clone());
    let service = service(operation.service);
    let (kind, attributes) = match operation.protocol {
        Protocol::Http { method, route } => {
            (SpanKind::Server, scene.http_server(service, method, route, &peer_ip, peer.is_none(), outcome))
        }
        Protocol::Grpc { service: api, method } => {
            (SpanKind::Server, scene.grpc_server(service, api, method, &peer_ip, outcome))
        }
        Protocol::Kafka { topic } => (SpanKind::Consumer, scene.kafka(topic, "process", "process")),
    };
    scene.describe(operation.name.into(), kind, scope_of(service.language, operation.protocol), attributes, outcome)
}

/// The CLIENT span of a call to another service.
pub(crate) fn called(
    scene: &mut Scene<'_>,
    operation: &Operation,
    callee: Option<PodId>,
    resend: i64,
    outcome: Outcome,
) -> Described {
    let callee_ip = callee.and_then(|pod| scene.pods.get(pod)).map_or("10.42.0.1", |pod| &pod.ip);
    let service = service(operation.service);
    let attributes = match operation.protocol {
        Protocol::Http { method, route } => scene.http_client(service, method, route, callee_ip, resend, outcome),
        Protocol::Grpc { service: api, method } => scene.grpc_client(service, api, method, callee_ip, outcome),
        Protocol::Kafka { topic } => scene.kafka(topic, "send", "send"),
    };
    let scope = scope_of(scene.language(), operation.protocol);
    scene.describe(operation.name.into(), SpanKind::Client, scope, attributes, outcome)
}

/// The CLIENT span of a call to a data store.
pub(crate) fn queried(scene: &mut Scene<'_>, query: &Query, outcome: Outcome) -> Described {
    let attributes = scene.store(query, outcome);
    let scope = scope::of_store(scene.language(), &query.target);
    scene.describe(query.name.into(), SpanKind::Client, scope, attributes, outcome)
}

/// An INTERNAL span.
pub(crate) fn internal(scene: &mut Scene<'_>, name: &'static str) -> Described {
    let items = scene.rng.random_range(1..60);
    let attributes = scene
        .common()
        .text("code.file.path", format!("src/{}.{}", name.replace(' ', "_"), scene.extension()))
        .integer("code.line.number", 20 + i64::try_from(name.len()).unwrap_or_default() * 7)
        .integer("app.items", items)
        .truth("app.cache.hit", items % 3 == 0)
        .double("app.score", f64::from(u32::try_from(items).unwrap_or_default()) / 64.0);
    let scope = scope::of_app(scene.service, scene.language());
    scene.describe(name.into(), SpanKind::Internal, scope, attributes, FINE)
}

/// The PRODUCER span of a message.
pub(crate) fn published(scene: &mut Scene<'_>, operation: &Operation) -> Described {
    let Protocol::Kafka { topic } = operation.protocol else {
        return internal(scene, operation.name);
    };
    let attributes = scene.kafka(topic, "send", "send");
    let scope = scope_of(scene.language(), operation.protocol);
    scene.describe(format!("send {topic}"), SpanKind::Producer, scope, attributes, FINE)
}

fn service(name: &str) -> &'static Service {
    SERVICES.iter().find(|service| service.name == name).unwrap_or(&SERVICES[0])
}

impl Scene<'_> {
    fn me(&self) -> Option<&Pod> {
        self.pods.get(self.pod)
    }

    fn language(&self) -> Language {
        service(self.service).language
    }

    fn extension(&self) -> &'static str {
        match self.language() {
            Language::Go => "go",
            Language::Java => "java",
            Language::Node => "js",
            Language::Python => "py",
            Language::Dotnet => "cs",
            Language::Rust => "rs",
        }
    }

    fn describe(
        &mut self,
        name: String,
        kind: SpanKind,
        scope: Scope,
        attributes: Attributes,
        outcome: Outcome,
    ) -> Described {
        let attributes = match outcome.failure {
            Some(exception) => attributes.text("error.type", exception.kind),
            None => attributes,
        };
        let span = Span {
            name,
            kind: kind as i32,
            attributes: attributes.finish(),
            events: self.events(outcome),
            status: outcome.failure.map(|exception| Status {
                message: if outcome.raised_here { exception.message.into() } else { String::new() },
                code: StatusCode::Error as i32,
            }),
            ..Span::default()
        };
        Described { scope, span }
    }

    /// Events, their time being how long before the span's end they happen.
    fn events(&mut self, outcome: Outcome) -> Vec<Event> {
        let Some(exception) = outcome.failure.filter(|_| outcome.raised_here) else {
            return Vec::new();
        };
        let place = format!("{}.{}", self.operation.replace(['/', ' '], "."), self.extension());
        let line = self.rng.random_range(20..400);
        let attributes = Attributes::new()
            .text("exception.type", exception.kind)
            .text("exception.message", exception.message)
            .text("exception.stacktrace", stacktrace(&exception, &place, line))
            .truth("exception.escaped", true);
        vec![Event {
            time_unix_nano: 50_000,
            name: "exception".into(),
            attributes: attributes.finish(),
            ..Event::default()
        }]
    }

    /// What every span says: the user, and where in the code it was made.
    fn common(&mut self) -> Attributes {
        let thread = self.rng.random_range(1..=16_i64);
        let pool = match self.language() {
            Language::Java => "http-nio-exec",
            Language::Dotnet => ".NET TP Worker",
            Language::Python => "ThreadPoolExecutor-0",
            Language::Node => "main",
            Language::Go => "goroutine",
            Language::Rust => "tokio-runtime-worker",
        };
        Attributes::new()
            .text("app.journey", self.visit.journey)
            .text("user.id", self.visit.user.as_str())
            .text("session.id", self.visit.session.as_str())
            .text("app.currency", self.visit.currency)
            .integer("thread.id", thread + 20)
            .text("thread.name", format!("{pool}-{thread}"))
            .text(
                "code.function.name",
                format!("example.shop.{}.handlers.{}", self.service, self.operation.replace(['/', ' '], ".")),
            )
            .maybe_text("app.order.id", self.order())
    }

    fn order(&self) -> Option<&str> {
        let deals_with_orders = matches!(self.service, "checkout" | "payment" | "shipping" | "email");
        deals_with_orders.then_some(self.visit.order.as_str())
    }
}

fn stacktrace(exception: &Exception, place: &str, line: u32) -> String {
    format!(
        "{}: {}\n    at handle ({place}:{line})\n    at dispatch (server/router:118)\n    at next (server/middleware:42)\n    at run (server/worker:77)",
        exception.kind, exception.message
    )
}

mod protocols;
mod stores;
