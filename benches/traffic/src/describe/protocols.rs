//! Attributes of calls between services: HTTP, gRPC, Kafka.

use rand::RngExt;

use super::{Outcome, Scene};
use crate::attributes::Attributes;
use crate::shop::Service;

impl Scene<'_> {
    pub(super) fn http_server(
        &mut self,
        service: &Service,
        method: &str,
        route: &str,
        peer_ip: &str,
        from_outside: bool,
        outcome: Outcome,
    ) -> Attributes {
        let (port, size) = (self.rng.random_range(32_768..61_000), self.body_size());
        let host = if from_outside { "shop.example" } else { service.name };
        let agent = if from_outside { self.visit.user_agent } else { "shop-http-client/2.3" };
        let query = (route == "/search").then(|| format!("q={}", self.visit.query.replace(' ', "+")));
        self.common()
            .text("http.request.method", method)
            .text("http.route", route)
            .integer("http.response.status_code", http_status(outcome, method))
            .text("url.scheme", if from_outside { "https" } else { "http" })
            .text("url.path", self.visit.path(route))
            .maybe_text("url.query", query.as_deref())
            .text("server.address", host)
            .integer("server.port", if from_outside { 443 } else { service.port })
            .text("client.address", if from_outside { self.visit.client_ip.as_str() } else { peer_ip })
            .text("network.peer.address", peer_ip)
            .integer("network.peer.port", port)
            .text("network.protocol.version", if from_outside { "2" } else { "1.1" })
            .text("user_agent.original", agent)
            .integer("http.response.body.size", size)
    }

    pub(super) fn http_client(
        &mut self,
        service: &Service,
        method: &str,
        route: &str,
        callee_ip: &str,
        resend: i64,
        outcome: Outcome,
    ) -> Attributes {
        let size = self.body_size();
        let url = format!("http://{}:{}{}", service.name, service.port, self.visit.path(route));
        let attributes = self
            .common()
            .text("http.request.method", method)
            .text("url.full", url)
            .text("url.template", route)
            .integer("http.response.status_code", http_status(outcome, method))
            .text("server.address", service.name)
            .integer("server.port", service.port)
            .text("network.peer.address", callee_ip)
            .integer("network.peer.port", service.port)
            .text("network.protocol.version", "1.1")
            .text("network.transport", "tcp")
            .text("peer.service", service.name)
            .integer("http.response.body.size", size);
        if resend > 0 { attributes.integer("http.request.resend_count", resend) } else { attributes }
    }

    pub(super) fn grpc_server(
        &mut self,
        service: &Service,
        api: &str,
        method: &str,
        peer_ip: &str,
        outcome: Outcome,
    ) -> Attributes {
        let (port, request, response) = (self.rng.random_range(32_768..61_000), self.message_size(), self.body_size());
        self.common()
            .text("rpc.system", "grpc")
            .text("rpc.service", api)
            .text("rpc.method", method)
            .integer("rpc.grpc.status_code", grpc_status(outcome))
            .text("server.address", service.name)
            .integer("server.port", service.port)
            .text("client.address", peer_ip)
            .text("network.peer.address", peer_ip)
            .integer("network.peer.port", port)
            .text("network.transport", "tcp")
            .integer("rpc.server.request.size", request)
            .integer("rpc.server.response.size", response)
    }

    pub(super) fn grpc_client(
        &mut self,
        service: &Service,
        api: &str,
        method: &str,
        callee_ip: &str,
        outcome: Outcome,
    ) -> Attributes {
        let (request, response) = (self.message_size(), self.body_size());
        self.common()
            .text("rpc.system", "grpc")
            .text("rpc.service", api)
            .text("rpc.method", method)
            .integer("rpc.grpc.status_code", grpc_status(outcome))
            .text("server.address", service.name)
            .integer("server.port", service.port)
            .text("network.peer.address", callee_ip)
            .integer("network.peer.port", service.port)
            .text("network.transport", "tcp")
            .text("peer.service", service.name)
            .integer("rpc.client.request.size", request)
            .integer("rpc.client.response.size", response)
    }

    pub(super) fn kafka(&mut self, topic: &str, operation: &str, kind: &str) -> Attributes {
        let partition = self.rng.random_range(0..12_i64);
        let (offset, size) = (self.rng.random_range(1_000_000..9_000_000_i64), self.body_size());
        let attributes = self
            .common()
            .text("messaging.system", "kafka")
            .text("messaging.destination.name", topic)
            .text("messaging.destination.partition.id", partition.to_string())
            .text("messaging.operation.name", operation)
            .text("messaging.operation.type", kind)
            .text("messaging.client.id", format!("{}-{}", self.service, self.me().map_or("", |pod| &pod.ip)))
            .text("messaging.kafka.message.key", self.visit.order.as_str())
            .integer("messaging.kafka.offset", offset)
            .integer("messaging.message.body.size", size)
            .text("server.address", "kafka-bootstrap.shop.svc")
            .integer("server.port", 9092);
        if operation == "process" { attributes.text("messaging.consumer.group.name", self.service) } else { attributes }
    }

    pub(super) fn body_size(&mut self) -> i64 {
        self.rng.random_range(180..24_000)
    }

    fn message_size(&mut self) -> i64 {
        self.rng.random_range(18..640)
    }
}

fn http_status(outcome: Outcome, method: &str) -> i64 {
    let fine = if method == "POST" { 201 } else { 200 };
    outcome.failure.map_or(fine, |exception| exception.http)
}

fn grpc_status(outcome: Outcome) -> i64 {
    outcome.failure.map_or(0, |exception| exception.grpc)
}
