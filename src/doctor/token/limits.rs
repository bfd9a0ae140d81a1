//! What each relying party makes of the token, in a line each.

use super::text::Token;
use crate::doctor::Report;
use crate::doctor::issuer::party::{Takes, takers};
use crate::domain::subject::{MAX_GCP_LENGTH, MAX_LENGTH};

/// The greatest lengths that a relying party takes, in bytes; none where none is known.
struct Limits {
    party: &'static str,
    token: usize,
    issuer: usize,
    subject: usize,
    audience: usize,
}

const NONE: usize = usize::MAX;

/// AWS IAM and STS API models; Entra, workload identity federation; Google Cloud IAM API.
const LIMITS: [Limits; 3] = [
    Limits {
        party: "AWS",
        token: 20_000,
        issuer: 255,
        subject: MAX_LENGTH,
        audience: 255,
    },
    Limits {
        party: "Azure",
        token: NONE,
        issuer: 600,
        subject: 600,
        audience: 600,
    },
    Limits {
        party: "GCP",
        token: NONE,
        issuer: NONE,
        subject: MAX_GCP_LENGTH,
        audience: 256,
    },
];

pub(super) fn judge(token: &Token, report: &mut Report) {
    let algorithm = token.header("alg").unwrap_or_default();
    for (party, takes) in takers(algorithm) {
        let mut reasons = Vec::new();
        match takes {
            Takes::Yes => {}
            Takes::No => reasons.push("does not take the algorithm".to_owned()),
            Takes::OnRequest => reasons.push("takes the algorithm if it is told so".to_owned()),
            Takes::Unknown => reasons.push("is not known to take the algorithm".to_owned()),
        }
        if let Some(limits) = LIMITS.iter().find(|limits| limits.party == party) {
            reasons.extend(limits.exceeded(token));
        }
        if party == "Azure" && !matches!(token.header("typ"), None | Some("JWT")) {
            reasons.push("wants `typ` to be `JWT`".to_owned());
        }
        if matches!(party, "Azure" | "GCP") && token.header("kid").is_none() {
            reasons.push("wants a `kid`".to_owned());
        }
        let value = if reasons.is_empty() {
            "fits".to_owned()
        } else {
            reasons.join("; ")
        };
        report.fact(format!("at {party}"), value);
    }
}

impl Limits {
    fn exceeded(&self, token: &Token) -> impl Iterator<Item = String> {
        let length = |claim| token.text(claim).map_or(0, str::len);
        let lengths = [
            ("the token", token.length, self.token),
            ("`iss`", length("iss"), self.issuer),
            ("`sub`", length("sub"), self.subject),
            ("`aud`", length("aud"), self.audience),
        ];
        let too_long = lengths
            .into_iter()
            .filter(|(_, length, most)| length > most);
        too_long.map(|(what, length, most)| format!("{what} is {length} bytes, over {most}"))
    }
}
