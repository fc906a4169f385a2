//! The services and how they run.

use super::{Export, Language};

/// A service of the shop.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// `service.name`.
    pub name: &'static str,
    /// What it is written in.
    pub language: Language,
    /// Version that runs before any release.
    pub version: &'static str,
    /// Pods per version.
    pub pods: u32,
    /// How its SDK exports.
    pub export: Export,
    /// Port it listens on.
    pub port: i64,
}

const fn service(
    name: &'static str,
    language: Language,
    version: &'static str,
    pods: u32,
    export: Export,
    port: i64,
) -> Service {
    Service { name, language, version, pods, export, port }
}

/// All services; every name that the operations use stands here.
pub const SERVICES: [Service; 12] = [
    service("frontend", Language::Node, "v5.3.2", 3, Export::HttpGzip, 8080),
    service("auth", Language::Go, "v1.22.0", 2, Export::Grpc, 9090),
    service("cart", Language::Dotnet, "v3.7.4", 3, Export::GrpcGzip, 7070),
    service("catalog", Language::Go, "v4.11.0", 3, Export::Grpc, 3550),
    service("checkout", Language::Go, "v2.9.3", 3, Export::Grpc, 5050),
    service("email", Language::Python, "v1.4.6", 2, Export::Http, 8081),
    service("inventory", Language::Java, "v6.0.1", 2, Export::GrpcGzip, 9443),
    service("payment", Language::Node, "v2.14.1", 3, Export::HttpGzip, 50_051),
    service("pricing", Language::Rust, "v0.31.0", 2, Export::Grpc, 8400),
    service("recommendation", Language::Python, "v1.8.0", 3, Export::Http, 8082),
    service("search", Language::Java, "v3.2.7", 2, Export::Grpc, 9200),
    service("shipping", Language::Rust, "v2.5.0", 2, Export::HttpJson, 8500),
];
