//! Deployments that somebody declared: a bounded list, kept in one small file, that meets the deployments found in the traffic.

use daytwo_storage::{Document, UnixNanos};
use serde::{Deserialize, Serialize};

use super::Identity;
use super::share::{STEPS_MAX, TrafficShare, WeightStep, in_order};
use crate::error::Result;
use crate::kept_document::{self, Form};
use crate::trace::identity;

#[cfg(test)]
mod tests;

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
    /// The share of the service's traffic that is meant for this version from then on, if that was said.
    pub weight: Option<TrafficShare>,
    /// Weights that declarations of the same id gave before, oldest first.
    pub earlier: Vec<WeightStep>,
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

    /// Every weight that was given, oldest first; the last step is this declaration's own.
    pub fn steps(&self) -> Vec<WeightStep> {
        let mut steps = self.earlier.clone();
        if self.weight.is_some() || !steps.is_empty() {
            steps.push(WeightStep { at: self.at, share: self.weight, asker: None });
        }
        steps
    }

    /// This declaration in the place of an earlier one of the same id: a canary's steps up are told one after the other.
    fn instead_of(mut self, known: &Self) -> Self {
        if known.is_of(&self.service, &self.environment) && known.names == self.names {
            let mut earlier = known.steps();
            earlier.retain(|step| step.at < self.at);
            self.earlier = earlier.split_off(earlier.len().saturating_sub(STEPS_MAX));
        }
        self
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<TrafficShare>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier_weights: Vec<KeptStep>,
}

/// A weight that was given before.
#[derive(Debug, Serialize, Deserialize)]
struct KeptStep {
    at_unix_nano: i64,
    weight: Option<TrafficShare>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSet {
    format: u32,
    deployments: Vec<Kept>,
}

impl Form for KeptSet {
    const READ: u32 = FORMAT;
    const WHAT: &'static str = "the declared deployments";

    fn form(&self) -> u32 {
        self.format
    }
}

impl From<&Declaration> for Kept {
    fn from(declaration: &Declaration) -> Self {
        let Declaration { id, service, environment, names, at, kind, actor, url, weight, earlier } =
            declaration.clone();
        let VersionNames { version, revision, image, pod_template_hash } = names;
        let at_unix_nano = at.0;
        let step = |step: WeightStep| KeptStep { at_unix_nano: step.at.0, weight: step.share };
        let earlier_weights = earlier.into_iter().map(step).collect();
        Self {
            id,
            service,
            environment,
            version,
            revision,
            image,
            pod_template_hash,
            at_unix_nano,
            kind,
            actor,
            url,
            weight,
            earlier_weights,
        }
    }
}

impl From<Kept> for Declaration {
    fn from(kept: Kept) -> Self {
        let Kept { id, service, environment, version, revision, image, pod_template_hash, kind, actor, url, .. } = kept;
        let names = VersionNames { version, revision, image, pod_template_hash };
        let step = |step: KeptStep| WeightStep { at: UnixNanos(step.at_unix_nano), share: step.weight, asker: None };
        let (at, weight) = (UnixNanos(kept.at_unix_nano), kept.weight);
        let earlier = kept.earlier_weights.into_iter().map(step).collect();
        Self { id, service, environment, names, at, kind, actor, url, weight, earlier }
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
        let kept = kept_document::read::<KeptSet>(document)?;
        let declarations = kept.into_iter().flat_map(|kept| kept.deployments).map(Declaration::from).collect();
        Ok(Self { declarations, dropped: 0 })
    }

    /// Writes all of them.
    pub(crate) fn save(&self, document: &Document) -> Result<()> {
        let kept = KeptSet { format: FORMAT, deployments: self.declarations.iter().map(Kept::from).collect() };
        kept_document::write(document, &kept)
    }

    /// With one more, or one in the place of the same id: the set, the declaration as it is kept, and whether there was one.
    pub(crate) fn with(&self, declaration: Declaration) -> (Self, Declaration, bool) {
        let mut declarations = self.declarations.clone();
        let place = declarations.iter().position(|known| known.id == declaration.id);
        let before = place.map(|place| declarations.remove(place));
        let declaration = match &before {
            Some(known) => declaration.instead_of(known),
            None => declaration,
        };
        let known = before.is_some();
        let later = declarations.partition_point(|other| (other.at, &other.id) < (declaration.at, &declaration.id));
        declarations.insert(later, declaration.clone());
        let surplus = declarations.len().saturating_sub(DECLARED_MAX);
        declarations.drain(..surplus);
        (Self { declarations, dropped: self.dropped.saturating_add(surplus as u64) }, declaration, known)
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

    /// The weights that were declared of a version, in the order of time. A declaration of another version without a weight ends what was
    /// declared before: traffic was moved, and nobody said how.
    pub(crate) fn weights_of(
        &self,
        service: &str,
        environment: &str,
        version: &str,
        known_by: &Identity,
    ) -> Vec<WeightStep> {
        let mut steps = Vec::new();
        for declaration in self.of(service, environment) {
            if declaration.names.meet(version, known_by) {
                steps.extend(declaration.steps());
            } else if declaration.steps().is_empty() {
                steps.push(WeightStep { at: declaration.at, share: None, asker: None });
            }
        }
        in_order(steps)
    }

    /// Whether a version was declared.
    pub(crate) fn meets(&self, service: &str, environment: &str, version: &str, known_by: &Identity) -> bool {
        self.of(service, environment).any(|declaration| declaration.names.meet(version, known_by))
    }
}
