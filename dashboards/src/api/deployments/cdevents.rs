//! CDEvents: `dev.cdevents.service.deployed`, `.upgraded` and `.rolledback` in any of their versions, as the body of a request, with the
//! attributes of CloudEvents in its headers (binary content mode) or around it (structured content mode).

use daytwo_query::{Declaration, DeclaredKind, UnixNanos, VersionNames};
use http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::declare::check_time;
use crate::error::{ApiError, ApiResult};
use crate::fields::{Fields, Problems};

/// What every type of a service's event begins with.
const SERVICE: &str = "dev.cdevents.service.";
/// The share of the service's traffic that is meant for the version, in `customData`.
const WEIGHT: &str = "traffic.weight";

/// The CDEvent in a request; `None` when the body is in our own form.
pub(super) fn event_in<'a>(headers: &HeaderMap, body: &'a Value) -> ApiResult<Option<&'a Value>> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let structured = body.get("specversion").is_some() && body.get("context").is_none();
    match media.as_str() {
        "application/cloudevents-batch+json" => {
            Err(ApiError::refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send events one by one, not as a batch"))
        }
        "application/cloudevents+json" => body.get("data").map(Some).ok_or_else(|| {
            ApiError::bad_request("data is missing: a CDEvent in structured content mode stands in the field data")
        }),
        "application/cdevents+json" => Ok(Some(body)),
        "" | "application/json" if structured => Ok(body.get("data")),
        "" | "application/json" => {
            let is_event = headers.contains_key("ce-type") || body.get("context").is_some();
            Ok(is_event.then_some(body))
        }
        _ => Err(ApiError::refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send application/json, application/cloudevents+json or application/cdevents+json",
        )),
    }
}

/// The deployment that an event declares.
pub(super) fn declaration(headers: &HeaderMap, event: &Value, now: UnixNanos) -> ApiResult<Declaration> {
    let mut problems = Problems::default();
    let fields = Fields::of(event, &mut problems);
    let context = fields.object("context", &mut problems);
    let subject = fields.object("subject", &mut problems);
    let content = subject.object("content", &mut problems);
    let environment = content.object("environment", &mut problems);
    let custom = custom_of(event, &fields, &mut problems);

    let kind = kind_of(&context, &mut problems);
    let (id, source) = (context.required("id", &mut problems), context.required("source", &mut problems));
    agrees(headers, "ce-type", &context, "type", &mut problems);
    agrees(headers, "ce-id", &context, "id", &mut problems);
    if !context.has("timestamp") {
        problems.add(context.name("timestamp"), "is missing");
    }
    let at = context.instant("timestamp", &mut problems).unwrap_or(now);
    check_time("context.timestamp", at, now, &mut problems);

    let subject_id = subject.required("id", &mut problems);
    let service = custom.text("service.name", &mut problems).unwrap_or_else(|| last_segment(&subject_id));
    let place = environment.text("name", &mut problems);
    let place_id = environment.required("id", &mut problems);
    let environment =
        custom.text("deployment.environment.name", &mut problems).or(place).unwrap_or_else(|| last_segment(&place_id));
    let artifact = content.required("artifactId", &mut problems);
    let mut names = names_of(&artifact);
    names.version = custom.text("service.version", &mut problems).or(names.version);
    if !artifact.is_empty() && names.text().is_empty() {
        let rule = "names no version: give it one (pkg:oci/app@sha256%3A…, pkg:golang/app@v1.2), or service.version in customData";
        problems.add(content.name("artifactId"), rule);
    }
    let declaration = Declaration {
        id: format!("{source}#{id}"),
        service,
        environment,
        names,
        at,
        kind,
        actor: None,
        url: None,
        weight: custom.share(WEIGHT, &mut problems),
        earlier: Vec::new(),
    };
    problems.or(declaration)
}

/// Names that only we know, under OpenTelemetry's keys; `customData` may also be a text, which says nothing to us.
fn custom_of<'a>(event: &'a Value, fields: &Fields<'a>, problems: &mut Problems) -> Fields<'a> {
    let readable = event.get("customData").is_none_or(Value::is_object);
    if readable { fields.object("customData", problems) } else { fields.object("", problems) }
}

fn kind_of(context: &Fields<'_>, problems: &mut Problems) -> DeclaredKind {
    let kind = context.required("type", problems);
    let predicate = kind.strip_prefix(SERVICE).and_then(|rest| rest.split('.').next()).unwrap_or_default();
    match predicate {
        "deployed" => DeclaredKind::Deployed,
        "upgraded" => DeclaredKind::Upgraded,
        "rolledback" => DeclaredKind::RolledBack,
        _ => {
            if !kind.is_empty() {
                let rule = "is no deployment: those are dev.cdevents.service.deployed, .upgraded and .rolledback";
                problems.add(context.name("type"), rule);
            }
            DeclaredKind::Deployed
        }
    }
}

/// In binary content mode an attribute stands in a header too.
fn agrees(headers: &HeaderMap, header: &str, context: &Fields<'_>, field: &str, problems: &mut Problems) {
    let mut quiet = Problems::default();
    let (Some(outside), Some(inside)) = (headers.get(header), context.text(field, &mut quiet)) else { return };
    if outside.as_bytes() != inside.as_bytes() {
        problems.add(header, format!("differs from {} in the body", context.name(field)));
    }
}

/// `myapp` of `service/myapp`.
fn last_segment(id: &str) -> String {
    id.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default().to_owned()
}

/// What a package URL says of the version: the digest of an image, a revision, or a version; a bare SHA-256 is a digest.
fn names_of(artifact: &str) -> VersionNames {
    let none = VersionNames::default();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some(purl) = artifact.strip_prefix("pkg:") else {
        let digest = (artifact.len() == 64 && is_hex(artifact)).then(|| format!("sha256:{artifact}"));
        return VersionNames { image: digest, ..none };
    };
    let bare = purl.split('#').next().unwrap_or_default();
    let (path, qualifiers) = bare.split_once('?').unwrap_or((bare, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(|text| text.into_owned()).ok();
    let (name, version) = path.rsplit_once('@').map_or((path, None), |(name, version)| (name, decoded(version)));
    let version = version.filter(|version| !version.is_empty());
    let name = last_segment(name);
    let tag = qualifiers.split('&').find_map(|pair| pair.strip_prefix("tag=")).and_then(decoded);
    let kind = path.split('/').next().unwrap_or_default();
    match (kind, version) {
        ("oci" | "docker", Some(version)) if version.starts_with("sha256:") => {
            let image = tag.map_or_else(|| version.clone(), |tag| format!("{name}:{tag}@{version}"));
            VersionNames { image: Some(image), ..none }
        }
        ("oci" | "docker", version) => {
            VersionNames { image: version.or(tag).map(|tag| format!("{name}:{tag}")), ..none }
        }
        (_, Some(version)) if (7..=64).contains(&version.len()) && is_hex(&version) => {
            VersionNames { revision: Some(version), ..none }
        }
        (_, version) => VersionNames { version, ..none },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: artifact ids as the specification gives them, with tags, versions and without any.
    /// Guarantees: each becomes the name that spans may know the version by.
    #[test]
    fn package_urls_name_versions() {
        let digest = "0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427";
        for (artifact, expected) in [
            (format!("pkg:oci/myapp@sha256%3A{digest}"), format!("image:sha256:{digest}")),
            (format!("pkg:oci/myapp@sha256%3A{digest}?tag=1.2"), format!("image:sha256:{digest}")),
            ("pkg:oci/myapp?tag=1.2".to_owned(), "image:1.2".to_owned()),
            ("pkg:docker/cassandra@5.0".to_owned(), "image:5.0".to_owned()),
            ("pkg:docker/cassandra@latest".to_owned(), String::new()),
            (digest.to_owned(), format!("image:sha256:{digest}")),
            (
                "pkg:golang/mygit.com/myorg/myapp@234fd47e07d1004f0aed9c".to_owned(),
                "revision:234fd47e07d1004f0aed9c".to_owned(),
            ),
            ("pkg:golang/mygit.com/myorg/myapp@v1.4.2#cmd".to_owned(), "v1.4.2".to_owned()),
            ("pkg:npm/%40angular/animation@12.3.1".to_owned(), "12.3.1".to_owned()),
            ("pkg:npm/shop".to_owned(), String::new()),
            ("six-1.14.0-py2.py3-none-any.whl".to_owned(), String::new()),
        ] {
            assert_eq!(names_of(&artifact).text(), expected, "{artifact}");
        }
    }
}
