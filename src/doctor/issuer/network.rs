//! The name, its addresses, and the certificates.

use std::net::{IpAddr, Ipv6Addr};

use super::chain::{Certificate, Chain, ChainError};
use super::seen::{Distrust, Exchange, FetchError, HostSeen, Seen, is_this_machine, shown};
use crate::doctor::kinds::issuer::{tls, url as kinds};
use crate::doctor::{Finding, Kind, Report};
use crate::domain::time::Timestamp;

pub(super) fn judge(host: &HostSeen, seen: &Seen, now: Timestamp, report: &mut Report) {
    let name = shown(host.url.host_str().unwrap_or_default());
    match &host.addresses {
        Ok(addresses) => {
            let texts: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            report.fact(format!("addresses of {name}"), texts.join(", "));
            if !is_this_machine(&host.url) {
                judge_addresses(&name, addresses, report);
            }
        }
        // A proxy has looked the name up in our place.
        Err(cause) if has_answer(host, seen) => {
            let what = format!("`{name}` has no address here: {}", shown(cause));
            report.add(Finding::new(&tls::CHAIN_UNSEEN, what));
        }
        Err(cause) => {
            let what = format!("`{name}` has no address: {}", shown(cause));
            report.add(Finding::new(&kinds::NO_SUCH_HOST, what));
        }
    }
    let distrust = distrust(host, seen);
    match &host.chain {
        None => report
            .findings
            .extend(distrust.map(|why| untrusted(&name, None, why, seen.private_ca))),
        Some(Ok(chain)) => judge_chain(&name, chain, distrust, seen.private_ca, now, report),
        Some(Err(error)) => {
            // What the documents' own connection met is told there.
            let has_answer = has_answer(host, seen);
            let is_handshake = !has_answer
                && matches!(
                    error,
                    ChainError::Handshake { .. } | ChainError::Certificate { .. }
                );
            let kind = if is_handshake {
                &tls::TLS_FAILED
            } else {
                &tls::CHAIN_UNSEEN
            };
            if is_handshake || distrust.is_some() || has_answer {
                report.add(Finding::new(kind, shown(&error.to_string())));
            }
            if let Some(why) = distrust {
                report.add(untrusted(&name, None, why, seen.private_ca));
            }
        }
    }
}

fn judge_addresses(name: &str, addresses: &[IpAddr], report: &mut Report) {
    for (kind, reach, words) in [
        (
            &kinds::ADDRESS_NOWHERE,
            Reach::Nowhere,
            "which is nowhere for anybody else",
        ),
        (&kinds::ADDRESS_PRIVATE, Reach::Private, "which is private"),
    ] {
        let found: Vec<String> = addresses
            .iter()
            .filter(|address| Reach::of(**address) == reach)
            .map(|address| format!("`{address}`"))
            .collect();
        if !found.is_empty() {
            let what = format!("`{name}` leads to {}, {words}", found.join(", "));
            report.add(Finding::new(kind, what));
        }
    }
}

/// Who can reach an address (IANA's special-purpose registries, RFC 6890).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    /// Nobody else, or nobody at all.
    Nowhere,
    /// Who is in the same network.
    Private,
    /// Everybody.
    World,
}

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => {
                let [a, b, ..] = address.octets();
                // Carrier-grade NAT is shared, benchmarks stay in the laboratory.
                let is_shared = a == 100 && (64..128).contains(&b);
                if address.is_private() || is_shared || (a == 198 && (18..20).contains(&b)) {
                    Self::Private
                } else if address.is_loopback()
                    || address.is_link_local()
                    || address.is_documentation()
                    || a == 0
                    || a >= 224
                {
                    Self::Nowhere
                } else {
                    Self::World
                }
            }
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if let Some(address) = address.to_ipv4_mapped() {
            return Self::of(address.into());
        }
        let [first, second, ..] = address.segments();
        if address.is_unique_local() {
            Self::Private
        } else if (0x2000..0x4000).contains(&first) && !(first == 0x2001 && second == 0x0db8) {
            Self::World
        } else {
            Self::Nowhere
        }
    }
}

/// The exchanges that went to a host.
fn exchanges<'a>(host: &'a HostSeen, seen: &'a Seen) -> impl Iterator<Item = &'a Exchange> {
    let both = seen.discovery.iter().chain(&seen.jwks);
    both.filter(|exchange| {
        url::Url::parse(&exchange.url).is_ok_and(|url| url.origin() == host.url.origin())
    })
}

fn distrust<'a>(host: &'a HostSeen, seen: &'a Seen) -> Option<&'a Distrust> {
    exchanges(host, seen).find_map(|exchange| exchange.distrust.as_ref())
}

fn has_answer(host: &HostSeen, seen: &Seen) -> bool {
    exchanges(host, seen).any(|exchange| exchange.outcome.is_ok())
}

fn judge_chain(
    name: &str,
    chain: &Chain,
    distrust: Option<&Distrust>,
    private_ca: bool,
    now: Timestamp,
    report: &mut Report,
) {
    facts(name, chain, report);
    // What is seen in the certificates themselves comes first, and the library stops at its first reason.
    let mut is_explained = false;
    for certificate in &chain.certificates {
        if let Some(finding) = times(certificate, now) {
            is_explained |= matches!(distrust, Some(Distrust::Ended | Distrust::NotYet));
            report.add(finding);
        }
    }
    if !chain.is_for_host() {
        is_explained |= matches!(distrust, Some(Distrust::Host));
        let names = chain
            .certificates
            .first()
            .map_or(&[][..], |first| &first.names);
        let names = match names {
            [] => "nobody".to_owned(),
            names => format!("`{}`", shown(&names.join("`, `"))),
        };
        let what = format!("`{name}` shows a certificate for {names}");
        report.add(Finding::new(&tls::CERTIFICATE_HOST, what));
    }
    if let Some((certificate, next)) = chain.first_gap() {
        let what = format!(
            "after the certificate of `{}` comes that of `{}`, and not that of `{}`, which issued it",
            shown(&certificate.subject),
            shown(&next.subject),
            shown(&certificate.issuer)
        );
        report.add(Finding::new(&tls::CHAIN_ORDER, what));
    }
    match distrust {
        Some(why) if !is_explained => {
            report.add(untrusted(name, chain.certificates.last(), why, private_ca));
        }
        None if private_ca => {
            let what = format!("`{name}` shows a certificate of the CA that was given");
            report.add(Finding::new(&tls::PRIVATE_CA, what));
        }
        Some(_) | None => {}
    }
}

fn facts(name: &str, chain: &Chain, report: &mut Report) {
    report.fact(format!("TLS of {name}"), chain.version.clone());
    let lines: Vec<String> = chain
        .certificates
        .iter()
        .map(|certificate| {
            format!(
                "{}, by {}, until {}",
                named(&certificate.subject),
                named(&certificate.issuer),
                certificate.not_after
            )
        })
        .collect();
    report.fact(format!("certificates of {name}"), lines.join("\n"));
    report.fact(format!("thumbprint of {name}"), chain.thumbprint());
}

fn named(subject: &str) -> String {
    if subject.is_empty() {
        "(no subject)".to_owned()
    } else {
        shown(subject)
    }
}

fn times(certificate: &Certificate, now: Timestamp) -> Option<Finding> {
    let (from, until) = (certificate.not_before, certificate.not_after);
    let subject = named(&certificate.subject);
    let life = until.seconds_since(from).max(0);
    let (kind, what): (&Kind, _) = if now < from {
        (
            &tls::CERTIFICATE_EARLY,
            format!("`{subject}` is valid from {from}"),
        )
    } else if now > until {
        (
            &tls::CERTIFICATE_ENDED,
            format!("`{subject}` ended at {until}"),
        )
    } else if until.seconds_since(now) < life / 5 && !certificate.is_self_issued() {
        (
            &tls::CERTIFICATE_ENDS_SOON,
            format!("`{subject}` ends at {until}"),
        )
    } else {
        return None;
    };
    Some(Finding::new(kind, what))
}

fn untrusted(name: &str, last: Option<&Certificate>, why: &Distrust, private_ca: bool) -> Finding {
    let of_whom = if private_ca {
        "a CA of `--ca`"
    } else {
        "a CA that this machine knows"
    };
    let what = match (why, last) {
        (Distrust::Unknown, Some(last)) if last.is_self_issued() => {
            format!(
                "the chain of `{name}` ends at `{}`, which is not {of_whom}",
                shown(&last.subject)
            )
        }
        (Distrust::Unknown, Some(last)) => {
            let what = format!(
                "the chain of `{name}` ends at `{}`, which was issued by `{}`; that one is neither sent \
                 nor {of_whom}",
                shown(&last.subject),
                shown(&last.issuer)
            );
            // Without a hint of a public CA, and none given, it is most likely a private one.
            if last.points_to_issuer || private_ca {
                return Finding::new(&tls::CHAIN_INCOMPLETE, what);
            }
            what
        }
        (Distrust::Unknown, None) => format!("the certificate of `{name}` is not of {of_whom}"),
        (Distrust::Other(cause), _) => format!("`{name}`: {}", shown(cause)),
        (Distrust::Ended, _) => {
            format!("a certificate of `{name}` has ended, by this machine's clock")
        }
        (Distrust::NotYet, _) => {
            format!("a certificate of `{name}` is not valid yet, by this machine's clock")
        }
        (Distrust::Host, _) => format!("the certificate of `{name}` is for another host"),
    };
    let kind = match why {
        Distrust::Ended => &tls::CERTIFICATE_ENDED,
        Distrust::Host => &tls::CERTIFICATE_HOST,
        Distrust::NotYet => &tls::CERTIFICATE_EARLY,
        Distrust::Unknown | Distrust::Other(_) => &tls::CERTIFICATE_UNTRUSTED,
    };
    Finding::new(kind, what)
}

/// What kept the documents from coming, as far as it is TLS.
pub(super) fn failure(error: &FetchError) -> Option<&'static Kind> {
    match error {
        FetchError::Tls(_) => Some(&tls::TLS_FAILED),
        FetchError::Distrusted(_) => Some(&tls::CERTIFICATE_UNTRUSTED),
        FetchError::Connection(_) | FetchError::Timeout => None,
    }
}
