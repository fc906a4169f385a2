//! The shop's service level objectives.

/// OpenSLO v1 files of the shop: file name and text.
pub const SLO_FILES: &[(&str, &str)] = &[
    ("catalog.yaml", include_str!("../slo/catalog.yaml")),
    ("checkout.yaml", include_str!("../slo/checkout.yaml")),
    ("email.yaml", include_str!("../slo/email.yaml")),
    ("frontend.yaml", include_str!("../slo/frontend.yaml")),
    ("payment.yaml", include_str!("../slo/payment.yaml")),
    ("recommendation.yaml", include_str!("../slo/recommendation.yaml")),
    ("search.yaml", include_str!("../slo/search.yaml")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::SERVICES;

    /// Scenario: the files as shipped.
    /// Guarantees: each speaks of the service it is named after, and that service exists.
    #[test]
    fn files_are_named_after_their_service() {
        for (file, text) in SLO_FILES {
            let service = file.strip_suffix(".yaml").unwrap();
            assert!(SERVICES.iter().any(|known| known.name == service), "{file}");
            let owners = text.lines().filter_map(|line| line.strip_prefix("  service: "));
            assert!(owners.clone().count() > 0 && owners.clone().all(|owner| owner == service), "{file}");
        }
    }
}
