//! Which relying party takes which algorithm.

/// Whether a relying party takes tokens of an algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::doctor) enum Takes {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// Neither documented nor tried.
    Unknown,
    /// If it is configured so.
    OnRequest,
}

/// The relying parties.
const PARTIES: [&str; 6] = [
    "AWS",
    "Azure",
    "GCP",
    "Vault",
    "Kubernetes (flags)",
    "Kubernetes (configuration)",
];

/// Who takes an algorithm: AWS STS API and IAM user guide; Entra, workload identity federation
/// considerations; Google Security Token Service API and measurements; Vault, JWT auth method;
/// kube-apiserver's flag `--oidc-signing-algs` and its `AuthenticationConfiguration`.
pub(in crate::doctor) fn takers(algorithm: &str) -> [(&'static str, Takes); 6] {
    use Takes::{No, OnRequest, Unknown, Yes};
    let takes = match algorithm {
        "RS256" => [Yes, Yes, Yes, Yes, Yes, Yes],
        "RS384" | "RS512" => [Yes, Unknown, Unknown, Yes, OnRequest, Yes],
        "ES256" => [Yes, Unknown, Yes, Yes, OnRequest, Yes],
        "ES384" | "ES512" => [Yes, Unknown, No, Yes, OnRequest, Yes],
        "PS256" | "PS384" | "PS512" => [No, Unknown, Unknown, Yes, OnRequest, Yes],
        "EdDSA" | "Ed25519" => [No, Unknown, No, Yes, No, No],
        _ => [No, No, No, No, No, No],
    };
    let mut pairs = PARTIES.map(|party| (party, No));
    for (pair, takes) in pairs.iter_mut().zip(takes) {
        pair.1 = takes;
    }
    pairs
}

/// Who takes an algorithm, in a line.
pub(in crate::doctor) fn summary(algorithm: &str) -> String {
    let takers = takers(algorithm);
    let of = |wanted| {
        let of_it = takers.iter().filter(|(_, takes)| *takes == wanted);
        of_it
            .map(|(party, _)| *party)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let groups = [
        ("taken by", Takes::Yes),
        ("if told so", Takes::OnRequest),
        ("not known of", Takes::Unknown),
        ("refused by", Takes::No),
    ];
    let groups = groups.map(|(words, takes)| (words, of(takes)));
    let groups = groups.iter().filter(|(_, parties)| !parties.is_empty());
    let groups: Vec<_> = groups
        .map(|(words, parties)| format!("{words} {parties}"))
        .collect();
    groups.join("; ")
}

/// Whether all of them take it as they are set up by default.
pub(in crate::doctor) fn is_taken_by_all(algorithm: &str) -> bool {
    takers(algorithm)
        .iter()
        .all(|(_, takes)| *takes == Takes::Yes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs256_alone_is_taken_by_all() {
        for algorithm in [
            "RS256", "RS512", "ES256", "ES384", "PS256", "EdDSA", "HS256", "none",
        ] {
            assert_eq!(
                is_taken_by_all(algorithm),
                algorithm == "RS256",
                "{algorithm}"
            );
        }
        assert_eq!(
            summary("ES256"),
            "taken by AWS, GCP, Vault, Kubernetes (configuration); if told so Kubernetes (flags); \
             not known of Azure"
        );
        assert!(
            summary("EdDSA").starts_with("taken by Vault; not known of Azure; refused by AWS, GCP")
        );
    }
}
