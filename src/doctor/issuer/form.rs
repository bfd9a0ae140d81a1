//! The form of the issuer's URL. All that is wrong is said, not only the first of it.

use url::Url;

use super::seen::{DISCOVERY_PATH, is_this_machine, shown};
use crate::doctor::kinds::issuer::url as kinds;
use crate::doctor::{Finding, Report};

/// AWS IAM takes at most 255 characters for an OIDC provider's URL.
const MAX_LENGTH: usize = 255;

pub(super) fn judge(issuer: &str, report: &mut Report) {
    let mut add = |kind, what: String| report.add(Finding::new(kind, what));
    let url = match issuer.strip_suffix(DISCOVERY_PATH) {
        Some(url) => {
            let what = format!("the issuer is `{}`, without `{DISCOVERY_PATH}`", shown(url));
            add(&kinds::DISCOVERY_URL, what);
            url
        }
        None => issuer,
    };
    let parsed = Url::parse(url).ok().filter(Url::has_host);
    let Some(parsed) = parsed.filter(|_| url.contains("://")) else {
        add(
            &kinds::FORM,
            format!("`{}` is no URL with a scheme and a host", shown(url)),
        );
        return;
    };
    let is_local = is_this_machine(&parsed);
    match parsed.scheme() {
        "https" => {}
        "http" if is_local => {}
        scheme => add(
            &kinds::NOT_HTTPS,
            format!("its scheme is `{}`", shown(scheme)),
        ),
    }
    if is_local {
        let host = parsed.host_str().unwrap_or_default();
        add(
            &kinds::THIS_MACHINE,
            format!("`{}` is this machine", shown(host)),
        );
    }
    let faults = faults(url);
    if !faults.is_empty() {
        add(&kinds::FORM, format!("it has {}", faults.join(", ")));
    }
    let authority = authority(url);
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    if host_and_port.bytes().any(|byte| byte.is_ascii_uppercase()) {
        add(
            &kinds::HOST_CASE,
            format!("`{}` is not in lower case", shown(host_and_port)),
        );
    }
    let port = host_and_port
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    if let Some((_, port)) = port {
        add(&kinds::PORT, format!("it names port {}", shown(port)));
    }
    if url.ends_with('/') {
        add(&kinds::SLASH, "it ends with a slash".to_owned());
    }
    if issuer.len() > MAX_LENGTH {
        add(
            &kinds::TOO_LONG,
            format!("it is {} bytes long", issuer.len()),
        );
    }
}

/// What an issuer may not have, but for what has a finding of its own.
fn faults(url: &str) -> Vec<&'static str> {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.get(authority(url).len()..).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    let has_bad_segment = path
        .split('/')
        .skip(1)
        .any(|part| matches!(part, "" | "." | ".."));
    [
        (rest.contains('?'), "a query"),
        (rest.contains('#'), "a fragment"),
        (authority(url).contains('@'), "a user name or password"),
        (has_bad_segment, "an empty or dotted path segment"),
        (
            path.contains(['{', '}', '*', '%', ':']),
            "one of `{`, `}`, `*`, `%` and `:` in its path",
        ),
        (
            !url.bytes().all(|byte| byte.is_ascii_graphic()),
            "characters that are not printable ASCII",
        ),
    ]
    .into_iter()
    .filter_map(|(is_there, what)| is_there.then_some(what))
    .collect()
}

fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
