//! What a version of a service is known by: `service.version`, else the revision it was built from, else its image, else its pod template.
//!
//! The parts are kept among a process's traits under the keys of this module, whatever the convention's age under which they were sent.

use serde_json::{Map, Value};

/// The revision in version control that the process was built from.
pub(crate) const REVISION: &str = "vcs.ref.head.revision";
/// The digest of the container image, `sha256:…`.
pub(crate) const IMAGE: &str = "container.image.digest";
/// The tag of the container image.
pub(crate) const TAG: &str = "container.image.tag";
/// The hash of the pod template, the suffix of the ReplicaSet's name.
pub(crate) const TEMPLATE: &str = "k8s.pod_template_hash";

/// Names under which a revision is sent, the newest convention first.
const REVISIONS: [&str; 2] = [REVISION, "vcs.repository.ref.revision"];
/// Names under which a pod template's hash is sent.
const TEMPLATES: [&str; 2] = ["k8s.pod.label.pod-template-hash", "k8s.pod.labels.pod-template-hash"];
/// A tag that says nothing about what runs.
const MOVING_TAG: &str = "latest";

/// Whether a trait is part of the identity; such traits differ between versions by design and explain nothing.
pub(crate) fn is_part(name: &str) -> bool {
    matches!(name, REVISION | IMAGE | TAG | TEMPLATE)
}

/// The parts that a process names.
pub(super) fn parts(attributes: &Map<String, Value>) -> Vec<(&'static str, String)> {
    let text = |key: &&str| attributes.get(*key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let first = |keys: &[&str]| keys.iter().find_map(text).map(str::to_owned);
    let mut found = Vec::new();
    found.extend(first(&REVISIONS).map(|revision| (REVISION, revision)));
    let digests = texts(attributes.get("container.image.repo_digests"));
    let digest = digests.iter().min().and_then(|digest| image_digest(digest));
    found.extend(digest.or_else(|| first(&["container.image.id"])).map(|digest| (IMAGE, digest)));
    let mut tags = texts(attributes.get("container.image.tags"));
    tags.extend(first(&["container.image.tag"]));
    let tag = tags.into_iter().filter(|tag| tag != MOVING_TAG).min();
    found.extend(tag.map(|tag| (TAG, tag)));
    let replica_set = || text(&"k8s.replicaset.name").and_then(template_hash);
    found.extend(first(&TEMPLATES).or_else(replica_set).map(|hash| (TEMPLATE, hash)));
    found
}

/// The texts of an attribute that is a text or a list of them.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// `sha256:…` out of `repository@sha256:…`, or of itself.
pub(crate) fn image_digest(image: &str) -> Option<String> {
    let digest = image.rsplit_once('@').map_or(image, |(_, digest)| digest);
    digest.starts_with("sha256:").then(|| digest.to_owned())
}

/// `1.2` out of `registry:5000/shop/cart:1.2`; a digest after it is left out.
pub(crate) fn image_tag(image: &str) -> Option<String> {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    let tag = last.split_once(':').map(|(_, tag)| tag)?;
    (!tag.is_empty() && tag != MOVING_TAG && !name.starts_with("sha256:")).then(|| tag.to_owned())
}

/// `5d4f8c7b9` out of `cart-5d4f8c7b9`.
fn template_hash(replica_set: &str) -> Option<String> {
    let hash = replica_set.rsplit_once('-').map(|(_, hash)| hash)?;
    let plain = hash.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (plain && (5..=10).contains(&hash.len())).then(|| hash.to_owned())
}

/// The version of a process that names none: its first part, after a word that says which one it is.
pub(crate) fn version_of<'a>(part: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let named = [("revision", REVISION), ("image", IMAGE), ("image", TAG), ("template", TEMPLATE)];
    named.iter().find_map(|(word, key)| part(key).map(|value| format!("{word}:{value}")))
}

/// The value in a version that [`version_of`] made, as it stands in the resource attributes.
pub(crate) fn value_of(version: &str) -> Option<&str> {
    ["revision:", "image:", "template:"].iter().find_map(|word| version.strip_prefix(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts_of(attributes: Value) -> Vec<(&'static str, String)> {
        parts(attributes.as_object().unwrap())
    }

    fn version(attributes: Value) -> Option<String> {
        let parts = parts_of(attributes);
        version_of(|key| parts.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str()))
    }

    /// Scenario: attributes of the conventions of several years: lists and plain texts, labels and names of ReplicaSets.
    /// Guarantees: each gives the same part; `latest`, empty texts and names that end in no hash give none.
    #[test]
    fn parts_are_found_under_any_name() {
        for (attributes, expected) in [
            (json!({"vcs.ref.head.revision": "9d59409"}), vec![(REVISION, "9d59409")]),
            (json!({"vcs.repository.ref.revision": "9d59409"}), vec![(REVISION, "9d59409")]),
            (json!({"container.image.repo_digests": ["b/c@sha256:22", "a/c@sha256:22"]}), vec![(IMAGE, "sha256:22")]),
            (json!({"container.image.id": "sha256:33"}), vec![(IMAGE, "sha256:33")]),
            (json!({"container.image.tags": ["latest", "1.27"]}), vec![(TAG, "1.27")]),
            (json!({"container.image.tag": "1.27"}), vec![(TAG, "1.27")]),
            (json!({"k8s.pod.label.pod-template-hash": "5d4f8c7b9"}), vec![(TEMPLATE, "5d4f8c7b9")]),
            (json!({"k8s.replicaset.name": "cart-api-5d4f8c7b9"}), vec![(TEMPLATE, "5d4f8c7b9")]),
            (json!({"k8s.replicaset.name": "cart"}), vec![]),
            (json!({"k8s.replicaset.name": "cart-NotAHash"}), vec![]),
            (json!({"container.image.tag": "latest", "vcs.ref.head.revision": "", "container.image.tags": 7}), vec![]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            assert_eq!(parts_of(attributes.clone()), expected, "{attributes}");
        }
    }

    /// Scenario: processes that name no version and more and more of the rest.
    /// Guarantees: revision before image before tag before pod template, each under its word; nothing gives nothing.
    #[test]
    fn the_first_part_stands_for_the_version() {
        let mut attributes = json!({});
        assert_eq!(version(attributes.clone()), None);
        for (key, value, expected) in [
            ("k8s.replicaset.name", "cart-5d4f8c7b9", "template:5d4f8c7b9"),
            ("container.image.tag", "1.27", "image:1.27"),
            ("container.image.id", "sha256:33", "image:sha256:33"),
            ("vcs.ref.head.revision", "9d59409", "revision:9d59409"),
        ] {
            attributes[key] = value.into();
            let found = version(attributes.clone()).unwrap();
            assert_eq!(found, expected);
            assert!(attributes[key].as_str().unwrap().ends_with(value_of(&found).unwrap()));
        }
    }

    /// Scenario: names of images with and without registry port, tag and digest.
    /// Guarantees: digest and tag are told apart.
    #[test]
    fn images_are_taken_apart() {
        for (image, digest, tag) in [
            ("shop/cart", None, None),
            ("registry:5000/shop/cart", None, None),
            ("registry:5000/shop/cart:1.2", None, Some("1.2")),
            ("shop/cart:1.2@sha256:aa", Some("sha256:aa"), Some("1.2")),
            ("shop/cart:latest", None, None),
            ("sha256:aa", Some("sha256:aa"), None),
        ] {
            assert_eq!((image_digest(image).as_deref(), image_tag(image).as_deref()), (digest, tag), "{image}");
        }
    }
}
