//! [`CellFilter`]: which cells a question needs, so that the others are not looked at.

use super::CellKey;

/// Cells that may count; those that it leaves out certainly do not. `None` does not ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellFilter {
    /// The first start of a cell that may count.
    pub from_unix_nano: i64,
    /// The last start of a cell that may count.
    pub to_unix_nano: i64,
    /// Environments.
    pub environments: Option<Vec<String>>,
    /// Services.
    pub services: Option<Vec<String>>,
    /// Versions.
    pub versions: Option<Vec<String>>,
    /// Operations.
    pub operations: Option<Vec<String>>,
    /// OTLP kinds.
    pub kinds: Option<Vec<i32>>,
    /// Services that answered.
    pub peers: Option<Vec<String>>,
    /// Journeys.
    pub journeys: Option<Vec<String>>,
}

impl CellFilter {
    /// Every cell.
    pub const ALL: Self = Self {
        from_unix_nano: i64::MIN,
        to_unix_nano: i64::MAX,
        environments: None,
        services: None,
        versions: None,
        operations: None,
        kinds: None,
        peers: None,
        journeys: None,
    };

    /// Whether cells of a key may count.
    pub fn takes(&self, key: &CellKey) -> bool {
        let texts = [
            (&self.environments, &key.environment),
            (&self.services, &key.service),
            (&self.versions, &key.version),
            (&self.operations, &key.operation),
            (&self.peers, &key.peer),
            (&self.journeys, &key.journey),
        ];
        let kind = self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&key.kind));
        kind && texts
            .iter()
            .all(|(wanted, own)| wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|text| **text == ***own)))
    }
}
