//! How traffic is meant to be split between a flag's variants, as somebody declared it: a bounded list, kept in one small file.

use std::collections::BTreeMap;
use std::sync::Arc;

use daytwo_storage::{Document, UnixNanos};
use serde::{Deserialize, Serialize};

use crate::deployment::{TrafficShare, WeightStep, in_order};
use crate::error::Result;
use crate::kept_document::{self, Form};

/// Declarations that are kept; the oldest goes first.
pub const FLAGS_DECLARED_MAX: usize = 1_000;
/// The form in which they are kept.
const FORMAT: u32 = 1;

/// The weights of a flag's variants as somebody declared them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagDeclaration {
    /// Names the declaration; one of the same id takes its place.
    pub id: String,
    /// The flag.
    pub key: String,
    /// `deployment.environment.name` of the service that asks; `None` for every environment.
    pub environment: Option<String>,
    /// The service that asks; `None` for all of them.
    pub service: Option<String>,
    /// Since when, nanoseconds since the Unix epoch.
    pub at_unix_nano: i64,
    /// Share of the traffic that is meant for each variant; what is left goes to none of them.
    pub variants: BTreeMap<String, TrafficShare>,
}

impl FlagDeclaration {
    fn is_of(&self, environment: &str, key: &str) -> bool {
        *self.key == *key && self.environment.as_ref().is_none_or(|wanted| **wanted == *environment)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSet {
    format: u32,
    flags: Vec<FlagDeclaration>,
}

impl Form for KeptSet {
    const READ: u32 = FORMAT;
    const WHAT: &'static str = "the declared flags";

    fn form(&self) -> u32 {
        self.format
    }
}

/// Every declaration that is kept, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeclaredFlags {
    declarations: Vec<FlagDeclaration>,
    /// Declarations that went because there were too many, since the start.
    dropped: u64,
}

impl DeclaredFlags {
    /// Reads what was kept. What cannot be understood is set aside, and said in the log.
    pub(crate) fn load(document: &Document) -> Result<Self> {
        let kept = kept_document::read::<KeptSet>(document)?;
        Ok(Self { declarations: kept.map(|kept| kept.flags).unwrap_or_default(), dropped: 0 })
    }

    /// Writes all of them.
    pub(crate) fn save(&self, document: &Document) -> Result<()> {
        kept_document::write(document, &KeptSet { format: FORMAT, flags: self.declarations.clone() })
    }

    /// With one more, or one in the place of the same id; whether there was one.
    pub(crate) fn with(&self, declaration: FlagDeclaration) -> (Self, bool) {
        let mut declarations = self.declarations.clone();
        declarations.retain(|known| known.id != declaration.id);
        let known = declarations.len() < self.declarations.len();
        let key = |one: &FlagDeclaration| (one.at_unix_nano, one.id.clone());
        let later = declarations.partition_point(|other| key(other) < key(&declaration));
        declarations.insert(later, declaration);
        let surplus = declarations.len().saturating_sub(FLAGS_DECLARED_MAX);
        declarations.drain(..surplus);
        (Self { declarations, dropped: self.dropped.saturating_add(surplus as u64) }, known)
    }

    /// The share of a variant among the traces with it or the control, in the order of time.
    pub(crate) fn steps_of(&self, environment: &str, key: &str, variant: &str, control: &str) -> Vec<WeightStep> {
        let step = |one: &FlagDeclaration| {
            let share = one.variants.get(variant).zip(one.variants.get(control));
            WeightStep {
                at: UnixNanos(one.at_unix_nano),
                share: share.and_then(|(variant, control)| variant.among(*control)),
                asker: one.service.as_deref().map(Arc::from),
            }
        };
        in_order(self.declarations.iter().filter(|one| one.is_of(environment, key)).map(step).collect())
    }

    /// The weight of a variant that was declared last for every service that asks.
    pub(crate) fn weight_of(
        &self,
        environment: &str,
        key: &str,
        variant: &str,
        now: UnixNanos,
    ) -> Option<TrafficShare> {
        let in_force =
            |one: &&FlagDeclaration| one.is_of(environment, key) && one.service.is_none() && one.at_unix_nano <= now.0;
        self.declarations.iter().rev().find(in_force)?.variants.get(variant).copied()
    }

    /// How many there are, and how many had to go since the start.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.declarations.len() as u64, self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declaration(id: &str, at: i64, on: f64) -> FlagDeclaration {
        let of = |share| TrafficShare::of(share).unwrap();
        FlagDeclaration {
            id: id.to_owned(),
            key: "new-tax".to_owned(),
            environment: Some("prod".to_owned()),
            service: None,
            at_unix_nano: at,
            variants: [("on".to_owned(), of(on)), ("off".to_owned(), of(0.8 - on))].into(),
        }
    }

    /// Scenario: more declarations than are kept, one of them sent again, written and read back.
    /// Guarantees: the newest stay in order, the repeated one is there once, and a restart changes nothing.
    #[test]
    fn the_newest_are_kept_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let document = Document::in_folder(folder.path(), "flags.json", 4 << 20);
        let mut set = DeclaredFlags::load(&document).unwrap();
        for number in 0..=FLAGS_DECLARED_MAX {
            set = set.with(declaration(&format!("f{number}"), i64::try_from(number).unwrap(), 0.1)).0;
        }
        let (set, known) = set.with(declaration("f500", 5_000, 0.4));
        assert!(known);
        set.save(&document).unwrap();
        let read = DeclaredFlags::load(&document).unwrap();
        assert_eq!((read.counts(), set.counts()), ((1_000, 0), (1_000, 1)));
        assert_eq!(read.declarations, set.declarations);
        assert_eq!((read.declarations[0].id.as_str(), read.declarations[999].id.as_str()), ("f1", "f500"));
    }

    /// Scenario: 10 of 80 points for `on`, then 40, and what was declared for another environment, flag and asking service.
    /// Guarantees: a variant's share is that among it and the control, each step with its time; others' declarations are not mixed in.
    #[test]
    fn steps_are_of_the_pair() {
        let other = |id: &str, change: fn(&mut FlagDeclaration)| {
            let mut one = declaration(id, 15, 0.3);
            change(&mut one);
            one
        };
        let mut set = DeclaredFlags::default();
        for one in [
            declaration("b", 20, 0.4),
            declaration("a", 10, 0.1),
            other("c", |one| one.environment = Some("test".to_owned())),
            other("d", |one| one.key = "old-tax".to_owned()),
            other("e", |one| one.service = Some("shop".to_owned())),
        ] {
            set = set.with(one).0;
        }
        let rows: Vec<_> = set.steps_of("prod", "new-tax", "on", "off").into_iter().collect();
        let told: Vec<_> =
            rows.iter().map(|step| (step.asker.as_deref(), step.at.0, step.share.unwrap().share())).collect();
        assert_eq!(told, [(None, 10, 0.125), (None, 20, 0.5), (Some("shop"), 15, 0.375)]);
        assert_eq!(set.steps_of("prod", "new-tax", "purple", "off"), []);
        let weight = |at| set.weight_of("prod", "new-tax", "on", UnixNanos(at)).map(TrafficShare::share);
        assert_eq!((weight(9), weight(19), weight(25)), (None, Some(0.1), Some(0.4)));
    }
}
