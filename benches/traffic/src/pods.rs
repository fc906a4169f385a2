//! The pods that run each version of each service, and their OTLP resources.

use opentelemetry_proto::tonic::resource::v1::Resource;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::attributes::Attributes;
use crate::release::Release;
use crate::shop::{Language, SERVICES, Service};

/// Number of a pod in [`Pods`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodId(pub(crate) usize);

/// One running instance of one version of a service.
#[derive(Debug)]
pub struct Pod {
    /// The service it runs.
    pub service: &'static Service,
    /// Its `service.version`.
    pub version: String,
    /// Its name in Kubernetes.
    pub name: String,
    /// Its address.
    pub ip: String,
    /// What its SDK sends as the resource of all its spans.
    pub resource: Resource,
    /// The release that brought its version; `None` for the version that ran before all releases.
    pub(crate) release: Option<usize>,
}

/// All pods of the shop, those of future versions included.
#[derive(Debug)]
pub struct Pods {
    pods: Vec<Pod>,
    /// First pod of each service's versions: `[service][version]`, version 0 being the one before all releases.
    first: Vec<Vec<usize>>,
}

impl Pods {
    /// The pods of the shop under these releases.
    pub(crate) fn new(releases: &[Release], environment: &str) -> Self {
        let mut all = Self { pods: Vec::new(), first: Vec::new() };
        for service in &SERVICES {
            let own = releases.iter().enumerate().filter(|(_, release)| release.service == service.name);
            let own: Vec<_> = own.collect();
            let before = own.first().map_or(service.version, |(_, release)| release.from_version.as_str());
            let mut first = vec![all.start(service, before, None, environment)];
            for (index, release) in own {
                first.push(all.start(service, &release.to_version, Some(index), environment));
            }
            all.first.push(first);
        }
        all
    }

    fn start(&mut self, service: &'static Service, version: &str, release: Option<usize>, environment: &str) -> usize {
        let first = self.pods.len();
        self.pods.extend((0..service.pods).map(|replica| Pod::new(service, version, replica, release, environment)));
        first
    }

    /// The pod with that number.
    pub fn get(&self, id: PodId) -> Option<&Pod> {
        self.pods.get(id.0)
    }

    /// How many pods there are.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    /// Whether there is no pod.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// All pods, by number.
    pub fn iter(&self) -> impl Iterator<Item = (PodId, &Pod)> {
        self.pods.iter().enumerate().map(|(index, pod)| (PodId(index), pod))
    }

    /// The pod that handles a call to the `replica`-th (modulo their number) pod of a service's version.
    pub(crate) fn choose(&self, service: &str, version: usize, replica: u32) -> PodId {
        let index = service_index(service);
        let first = self.first.get(index).and_then(|versions| versions.get(version)).copied().unwrap_or_default();
        let pods = SERVICES.get(index).map_or(1, |service| service.pods);
        PodId(first + usize::try_from(replica % pods).unwrap_or_default())
    }
}

fn service_index(name: &str) -> usize {
    SERVICES.iter().position(|service| service.name == name).unwrap_or_default()
}

/// The services' cluster, with six machines in three zones.
const NODES: u64 = 6;

impl Pod {
    fn new(service: &'static Service, version: &str, replica: u32, release: Option<usize>, environment: &str) -> Self {
        let replicaset = format!("{}-{}", service.name, suffix(&format!("{}@{version}", service.name), 10));
        let name = format!("{replicaset}-{}", suffix(&format!("{replicaset}#{replica}"), 5));
        let hash = xxh3_64(name.as_bytes());
        let ip = format!("10.42.{}.{}", hash % NODES, 2 + (hash >> 8) % 250);
        let resource = Resource {
            attributes: resource_attributes(service, version, environment, &replicaset, &name, &ip),
            ..Resource::default()
        };
        Self { service, version: version.into(), name, ip, resource, release }
    }
}

fn resource_attributes(
    service: &Service,
    version: &str,
    environment: &str,
    replicaset: &str,
    pod: &str,
    ip: &str,
) -> Vec<opentelemetry_proto::tonic::common::v1::KeyValue> {
    let hash = xxh3_64(pod.as_bytes());
    let node = hash % NODES;
    let runtime = runtime(service.language);
    let zone = ["eu-central-1a", "eu-central-1b", "eu-central-1c"][usize::try_from(node % 3).unwrap_or_default()];
    let mut attributes = Attributes::new()
        .text("service.name", service.name)
        .text("service.namespace", "shop")
        .text("service.version", version)
        .text("service.instance.id", uuid(pod))
        .text("deployment.environment.name", environment)
        .text("telemetry.sdk.name", "opentelemetry")
        .text("telemetry.sdk.language", runtime.sdk)
        .text("telemetry.sdk.version", runtime.sdk_version)
        .integer("process.pid", 1 + i64::try_from(hash % 40).unwrap_or_default())
        .text("process.runtime.name", runtime.name)
        .text("process.runtime.version", runtime.version)
        .text("host.name", pod)
        .text("host.arch", "amd64")
        .text("os.type", "linux")
        .text("container.id", format!("{:032x}{:032x}", xxh3_128(pod.as_bytes()), xxh3_128(ip.as_bytes())))
        .text("container.image.name", format!("registry.shop.example/{}", service.name))
        .texts("container.image.tags", &[version])
        .text("k8s.cluster.name", "shop-eu-1")
        .text("k8s.namespace.name", "shop")
        .text("k8s.deployment.name", service.name)
        .text("k8s.replicaset.name", replicaset)
        .text("k8s.pod.name", pod)
        .text("k8s.node.name", format!("ip-10-0-{node}-17.eu-central-1.compute.internal"));
    if matches!(service.language, Language::Java | Language::Go) {
        attributes = attributes.text("cloud.availability_zone", zone);
    }
    attributes.finish()
}

struct Runtime {
    sdk: &'static str,
    sdk_version: &'static str,
    name: &'static str,
    version: &'static str,
}

const fn runtime(language: Language) -> Runtime {
    let (sdk, sdk_version, name, version) = match language {
        Language::Go => ("go", "1.38.0", "go", "go1.25.3"),
        Language::Java => ("java", "1.54.1", "OpenJDK Runtime Environment", "21.0.8+9-LTS"),
        Language::Node => ("nodejs", "2.1.0", "nodejs", "22.20.0"),
        Language::Python => ("python", "1.37.0", "cpython", "3.13.7"),
        Language::Dotnet => ("dotnet", "1.13.1", ".NET", "9.0.9"),
        Language::Rust => ("rust", "0.31.0", "rustc", "1.90.0"),
    };
    Runtime { sdk, sdk_version, name, version }
}

/// Letters and digits that Kubernetes uses in generated names.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

fn suffix(of: &str, length: usize) -> String {
    let mut hash = xxh3_64(of.as_bytes());
    let mut out = String::with_capacity(length);
    for _ in 0..length {
        out.push(char::from(SAFE[usize::try_from(hash % 27).unwrap_or_default()]));
        hash /= 27;
    }
    out
}

/// A random-looking UUID that depends on `of` alone.
pub(crate) fn uuid(of: &str) -> String {
    let hex = format!("{:032x}", xxh3_128(of.as_bytes()));
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}
