//! Attributes of calls to data stores and to systems outside the shop.

use rand::RngExt;

use super::{Outcome, Scene};
use crate::attributes::Attributes;
use crate::shop::{Query, Target};

impl Scene<'_> {
    pub(super) fn store(&mut self, query: &Query, outcome: Outcome) -> Attributes {
        match query.target {
            Target::Postgres { database, table, verb, text } => {
                let host = format!("pg-{database}-rw.shop.svc");
                self.database("postgresql", database, (&host, "10.96.14.7", 5432))
                    .text("db.collection.name", table)
                    .text("db.operation.name", verb)
                    .text("db.query.text", text)
                    .text("db.query.summary", query.name)
            }
            Target::Redis { database, command, text } => self
                .database("redis", database, ("redis-master.shop.svc", "10.96.21.30", 6379))
                .text("db.operation.name", command)
                .text("db.query.text", text)
                .text("db.query.summary", query.name)
                .text("app.cache.key", format!("{}:{}", self.visit.user, self.visit.product)),
            Target::Elasticsearch { index } => self
                .database("elasticsearch", "products", ("elasticsearch.shop.svc", "10.96.3.44", 9200))
                .text("db.collection.name", index)
                .text("db.operation.name", "search")
                .text(
                    "db.query.text",
                    "{\"query\":{\"multi_match\":{\"query\":\"?\",\"fields\":[\"name^3\",\"tags\"]}}}",
                )
                .text("http.request.method", "POST"),
            Target::External { host, method, path } => self.external(host, method, path, outcome),
            Target::Smtp => self
                .common()
                .text("server.address", "relay.mail.example")
                .integer("server.port", 587)
                .text("network.peer.address", "192.0.2.25")
                .integer("network.peer.port", 587)
                .text("network.transport", "tcp")
                .text("network.protocol.name", "smtp")
                .text("app.mail.template", "order-confirmation")
                .integer("app.mail.recipients", 1),
        }
    }

    fn database(&mut self, system: &str, namespace: &str, (host, ip, port): (&str, &str, i64)) -> Attributes {
        let rows = self.rng.random_range(0..24);
        self.common()
            .text("db.system.name", system)
            .text("db.namespace", namespace)
            .integer("db.response.returned_rows", rows)
            .text("db.client.connection.pool.name", format!("{}-{system}", self.service))
            .text("server.address", host)
            .integer("server.port", port)
            .text("network.peer.address", ip)
            .integer("network.peer.port", port)
            .text("peer.service", format!("{system}-{namespace}"))
    }

    fn external(&mut self, host: &str, method: &str, path: &str, outcome: Outcome) -> Attributes {
        let size = self.body_size();
        self.common()
            .text("http.request.method", method)
            .text("url.full", format!("https://{host}{path}"))
            .text("url.template", path)
            .integer("http.response.status_code", outcome.failure.map_or(201, |exception| exception.http))
            .text("server.address", host)
            .integer("server.port", 443)
            .text("network.peer.address", "198.51.100.20")
            .integer("network.peer.port", 443)
            .text("network.protocol.version", "2")
            .text("peer.service", host)
            .integer("http.response.body.size", size)
    }
}
