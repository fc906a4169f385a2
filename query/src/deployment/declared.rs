//! Deployments that somebody declared: a bounded list, kept in one small file, that meets the deployments found in the traffic.

use daytwo_storage::{Document, UnixNanos};
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::error::{QueryError, Result};
use crate::trace::identity;

/// Declarations that are kept; the oldest goes first.
pub const DECLARED_MAX: usize = 1_000;
/// Revisions are the same when one of at least so many characters is the beginning of the other.
const SHORT_REVISION: usize = 7;
/// The form in which declarations are kept.
const FORMAT: u32 = 1;

/// What was done, as declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredKind {
    /// The service was deployed.
    Deployed,
    /// It was brought to another version.
    Upgraded,
    /// It was brought back to an earlier version.
    RolledBack,
}

impl DeclaredKind {
    /// The name that the API shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Upgraded => "upgraded",
            Self::RolledBack => "rolled_back",
        }
    }
}

/// What somebody calls a version by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionNames {
    /// `service.version`.
    pub version: Option<String>,
    /// The revision it was built from.
    pub revision: Option<String>,
    /// The container image: its name with a tag, a digest or both, or a digest alone.
    pub image: Option<String>,
    /// The hash of the pod template.
    pub pod_template_hash: Option<String>,
}

/// A deployment as somebody declared it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Names the declaration; one of the same id takes its place.
    pub id: String,
    /// `service.name`.
    pub service: String,
    /// `deployment.environment.name`, empty when missing.
    pub environment: String,
    /// The version; one of its names at least.
    pub names: VersionNames,
    /// When it was done.
    pub at: UnixNanos,
    /// What was done.
    pub kind: DeclaredKind,
    /// Who did it.
    pub actor: Option<String>,
    /// Where to read more.
    pub url: Option<String>,
}

impl VersionNames {
    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The one version text that stands for these names: the first of them, as for processes.
    pub fn text(&self) -> String {
        let digest = self.image.as_deref().and_then(identity::image_digest);
        let tag = self.image.as_deref().and_then(identity::image_tag);
        let part = |key: &str| match key {
            identity::REVISION => self.revision.as_deref(),
            identity::IMAGE => digest.as_deref(),
            identity::TAG => tag.as_deref(),
            identity::TEMPLATE => self.pod_template_hash.as_deref(),
            _ => None,
        };
        self.version.clone().or_else(|| identity::version_of(part)).unwrap_or_default()
    }

    /// Whether they name a version that is known by `known_by`.
    pub fn meet(&self, version: &str, known_by: &Identity) -> bool {
        if self.version.as_deref() == Some(version) || *self.text() == *version {
            return true;
        }
        let image = self.image.as_deref();
        let has = |values: &[String], wanted: Option<String>| wanted.is_some_and(|wanted| values.contains(&wanted));
        let revision = |wanted: &String| known_by.revisions.iter().any(|revision| same_revision(revision, wanted));
        let exact = self.revision.as_ref().is_some_and(revision)
            || has(&known_by.image_digests, image.and_then(identity::image_digest))
            || has(&known_by.pod_template_hashes, self.pod_template_hash.clone());
        // A tag may be put on another image, and tools that name the version only there name no version.
        exact || (self.version.is_none() && has(&known_by.image_tags, image.and_then(identity::image_tag)))
    }
}

impl Declaration {
    /// The version that the deployment goes by while no span tells another.
    pub fn version_text(&self) -> String {
        self.names.text()
    }

    fn is_of(&self, service: &str, environment: &str) -> bool {
        *self.service == *service && *self.environment == *environment
    }
}

fn same_revision(left: &str, right: &str) -> bool {
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    left == right || (short.len() >= SHORT_REVISION && long.starts_with(short))
}

/// What a declaration looks like on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    id: String,
    service: String,
    environment: String,
    version: Option<String>,
    revision: Option<String>,
    image: Option<String>,
    pod_template_hash: Option<String>,
    at_unix_nano: i64,
    kind: DeclaredKind,
    actor: Option<String>,
    url: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSet {
    format: u32,
    deployments: Vec<Kept>,
}

impl From<&Declaration> for Kept {
    fn from(declaration: &Declaration) -> Self {
        let Declaration { id, service, environment, names, at, kind, actor, url } = declaration.clone();
        let VersionNames { version, revision, image, pod_template_hash } = names;
        let at_unix_nano = at.0;
        Self { id, service, environment, version, revision, image, pod_template_hash, at_unix_nano, kind, actor, url }
    }
}

impl From<Kept> for Declaration {
    fn from(kept: Kept) -> Self {
        let Kept { id, service, environment, version, revision, image, pod_template_hash, kind, actor, url, .. } = kept;
        let names = VersionNames { version, revision, image, pod_template_hash };
        Self { id, service, environment, names, at: UnixNanos(kept.at_unix_nano), kind, actor, url }
    }
}

/// Every declaration that is kept, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeclaredSet {
    declarations: Vec<Declaration>,
    /// Declarations that went because there were too many, since the start.
    dropped: u64,
}

impl DeclaredSet {
    /// Reads what was kept. What cannot be understood is set aside, and said in the log.
    pub(crate) fn load(document: &Document) -> Result<Self> {
        let Some(bytes) = document.read()? else { return Ok(Self::default()) };
        match serde_json::from_slice::<KeptSet>(&bytes) {
            Ok(kept) if kept.format == FORMAT => {
                Ok(Self { declarations: kept.deployments.into_iter().map(Declaration::from).collect(), dropped: 0 })
            }
            Ok(kept) => Err(QueryError::internal(format!(
                "the declared deployments are kept in form {}, this version reads form {FORMAT}",
                kept.format
            ))),
            Err(error) => {
                let aside = document.set_aside()?;
                tracing::error!(%error, aside = %aside.display(), "the declared deployments cannot be read and were set aside");
                Ok(Self::default())
            }
        }
    }

    /// Writes all of them.
    pub(crate) fn save(&self, document: &Document) -> Result<()> {
        let kept = KeptSet { format: FORMAT, deployments: self.declarations.iter().map(Kept::from).collect() };
        let bytes = serde_json::to_vec(&kept).map_err(|error| QueryError::internal(error.to_string()))?;
        Ok(document.replace(&bytes)?)
    }

    /// With one more, or one in the place of the same id; whether there was one.
    pub(crate) fn with(&self, declaration: Declaration) -> (Self, bool) {
        let mut declarations = self.declarations.clone();
        declarations.retain(|known| known.id != declaration.id);
        let known = declarations.len() < self.declarations.len();
        let later = declarations.partition_point(|other| (other.at, &other.id) < (declaration.at, &declaration.id));
        declarations.insert(later, declaration);
        let surplus = declarations.len().saturating_sub(DECLARED_MAX);
        declarations.drain(..surplus);
        (Self { declarations, dropped: self.dropped.saturating_add(surplus as u64) }, known)
    }

    /// Those of one service, oldest first.
    pub(crate) fn of<'a>(&'a self, service: &str, environment: &str) -> impl Iterator<Item = &'a Declaration> {
        self.declarations.iter().filter(move |declaration| declaration.is_of(service, environment))
    }

    /// All of them, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Declaration> {
        self.declarations.iter()
    }

    /// How many there are, and how many had to go since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.declarations.len() as u64, self.dropped)
    }

    /// Whether anything was declared of a service.
    pub(crate) fn concerns(&self, service: &str, environment: &str) -> bool {
        self.of(service, environment).next().is_some()
    }

    /// Whether a version was declared.
    pub(crate) fn meets(&self, service: &str, environment: &str, version: &str, known_by: &Identity) -> bool {
        self.of(service, environment).any(|declaration| declaration.names.meet(version, known_by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(id: &str, at: i64) -> Declaration {
        Declaration {
            id: id.to_owned(),
            service: "pay".to_owned(),
            environment: "prod".to_owned(),
            names: VersionNames { version: Some("v2".to_owned()), ..VersionNames::default() },
            at: UnixNanos(at),
            kind: DeclaredKind::Upgraded,
            actor: Some("ci".to_owned()),
            url: None,
        }
    }

    /// Scenario: more declarations than are kept, one of them sent again with another time, written and read back.
    /// Guarantees: the newest stay in order, the repeated one is there once, and a restart changes nothing.
    #[test]
    fn the_newest_are_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::in_folder(folder.path(), "deployments.json", 4 << 20);
        let mut set = DeclaredSet::load(&document).unwrap();
        for number in 0..=DECLARED_MAX {
            set = set.with(declaration(&format!("d{number}"), i64::try_from(number).unwrap())).0;
        }
        let (set, known) = set.with(declaration("d500", 5_000));
        assert!(known);
        set.save(&document).unwrap();
        let read = DeclaredSet::load(&document).unwrap();
        let ids: Vec<&str> = read.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((ids.len(), ids[0], ids[DECLARED_MAX - 1]), (DECLARED_MAX, "d1", "d500"));
        assert_eq!(read.declarations, set.declarations);
        assert!(read.concerns("pay", "prod") && !read.concerns("pay", ""));
    }

    /// Scenario: a file that is no JSON, and one of a later form.
    /// Guarantees: the first is set aside and the list begins anew; the second stops the start, for writing would lose it.
    #[test]
    fn what_cannot_be_read_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::in_folder(folder.path(), "deployments.json", 1 << 20);
        document.replace(b"{").unwrap();
        assert_eq!(DeclaredSet::load(&document).unwrap().iter().count(), 0);
        assert_eq!(std::fs::read(folder.path().join("deployments.json.damaged")).unwrap(), b"{");
        document.replace(br#"{"format":9,"deployments":[]}"#).unwrap();
        assert!(DeclaredSet::load(&document).unwrap_err().to_string().contains("form 9"));
    }

    /// Scenario: declarations by version, short revision, digest, tag and pod template, against what processes are known by.
    /// Guarantees: each meets the version it speaks of and no other; a tag counts only where no version is declared.
    #[test]
    fn declarations_meet_what_was_found() {
        let known_by = Identity {
            revisions: vec!["9d59409acf479dfa0df1aa568182e43e43df8bbe".to_owned()],
            image_digests: vec!["sha256:22".to_owned()],
            image_tags: vec!["1.27".to_owned()],
            pod_template_hashes: vec!["5d4f8c7b9".to_owned()],
        };
        let blank = VersionNames::default();
        let text = |text: &str| Some(text.to_owned());
        for (names, meets) in [
            (VersionNames { version: text("v1"), ..blank.clone() }, true),
            (VersionNames { version: text("v2"), ..blank.clone() }, false),
            (VersionNames { revision: text("9d59409"), ..blank.clone() }, true),
            (VersionNames { revision: text("9d5"), ..blank.clone() }, false),
            (VersionNames { revision: text("9d59408"), ..blank.clone() }, false),
            (VersionNames { image: text("shop/pay@sha256:22"), ..blank.clone() }, true),
            (VersionNames { image: text("shop/pay:1.27"), ..blank.clone() }, true),
            (VersionNames { image: text("shop/pay:1.27"), version: text("v2"), ..blank.clone() }, false),
            (VersionNames { pod_template_hash: text("5d4f8c7b9"), ..blank.clone() }, true),
        ] {
            assert_eq!(names.meet("v1", &known_by), meets, "{names:?}");
        }
        let revision = VersionNames { revision: text("abcdef0"), ..blank };
        assert_eq!(revision.text(), "revision:abcdef0");
        assert!(revision.meet("revision:abcdef0", &Identity::default()));
    }
}
