//! What settings may not say, and what they may not say together.

use std::path::Path;
use std::time::Duration;

use super::sections::{RotationSettings, TokenSettings};
use super::values::Span;
use super::{PERIOD_ALIAS, Settings};
use crate::domain::InvalidField;
use crate::domain::lifetime::MAX_LIFETIME;

impl Settings {
    pub(super) fn check(&self) -> Result<(), InvalidField> {
        self.issuer()?;
        self.rotation.check()?;
        self.tokens.check()?;
        self.check_listeners()?;
        let refuse = |field: &str, rule: &str| Err(InvalidField::new(field, rule));
        if self.server.listen == self.admin.listen && self.server.listen.port() != 0 {
            return refuse(
                "admin.listen",
                "is the address of `server.listen`; they must differ",
            );
        }
        if self.server.request_timeout.0.is_zero() {
            return refuse("server.request_timeout", "must be at least one second");
        }
        if self.server.max_concurrency == 0 {
            return refuse("server.max_concurrency", "must be at least 1");
        }
        if self.server.max_connections == 0 {
            return refuse("server.max_connections", "must be at least 1");
        }
        if self.server.max_body < 1_024 {
            return refuse("server.max_body", "must be at least 1024 bytes");
        }
        if self.store.connections == 0 {
            return refuse("store.connections", "must be at least 1");
        }
        let tokens = [
            ("admin.token", &self.admin.token.0),
            ("admin.previous_token", &self.admin.previous_token.0),
        ];
        for (field, token) in tokens {
            if !token.is_empty() && token.len() < 16 {
                return refuse(
                    field,
                    "must have at least 16 characters, all of them random",
                );
            }
        }
        if !self.keys.sealing_key.0.is_empty() && self.keys.sealing_key_file != Path::new("") {
            return refuse(
                "keys.sealing_key",
                "and `keys.sealing_key_file` are both given; keep one",
            );
        }
        if self.runs.max_open.0.is_zero() {
            return refuse("runs.max_open", "must be at least one second");
        }
        if self.events.keep.0 < Duration::from_hours(48) {
            return refuse(
                "events.keep",
                "must be at least 2d: the report after a leak needs the tokens that may be alive",
            );
        }
        Ok(())
    }
}

impl RotationSettings {
    pub(super) fn apply_alias(
        &mut self,
        days: &str,
        period_given: bool,
    ) -> Result<(), InvalidField> {
        let parsed = days
            .trim()
            .parse::<u64>()
            .ok()
            .filter(|days| (1..=3_650).contains(days));
        let Some(parsed) = parsed else {
            return Err(InvalidField::new(
                PERIOD_ALIAS,
                format!("is {days:?}; it must be a number of days from 1 to 3650"),
            ));
        };
        let period = Duration::from_hours(24 * parsed);
        if period_given && self.period.0 != period {
            return Err(InvalidField::new(
                PERIOD_ALIAS,
                "contradicts RUNMINT_ROTATION__PERIOD; set one of them",
            ));
        }
        self.period = Span(period);
        Ok(())
    }

    fn check(&self) -> Result<(), InvalidField> {
        let refuse =
            |field: &str, rule: String| Err(InvalidField::new(format!("rotation.{field}"), rule));
        let Self {
            period,
            prepublish,
            jwks_max_age,
            cache_leeway,
            trim_after,
            check_every,
            ..
        } = self;
        let caches = jwks_max_age.0 + cache_leeway.0;
        if jwks_max_age.0 > Duration::from_hours(1) {
            return refuse(
                "jwks_max_age",
                "is over an hour: after a leak, relying parties would trust the key for as long"
                    .to_owned(),
            );
        }
        if prepublish.0 < caches {
            return refuse(
                "prepublish",
                format!(
                    "is {prepublish}, less than jwks_max_age + cache_leeway ({}): relying parties \
                     would meet a key that they have not fetched yet",
                    Span(caches)
                ),
            );
        }
        if prepublish.0 > period.0 {
            return refuse(
                "prepublish",
                format!("is {prepublish}, longer than period ({period})"),
            );
        }
        if period.0 < Duration::from_secs(1) {
            return refuse("period", "must be at least one second".to_owned());
        }
        if trim_after.0 > Duration::from_hours(30 * 24) {
            return refuse("trim_after", "must be at most 30d".to_owned());
        }
        if check_every.0 < Duration::from_secs(1) || check_every.0 > Duration::from_mins(10) {
            return refuse("check_every", "must be from 1s to 10m".to_owned());
        }
        let url = &self.probe_url;
        let is_http = url.starts_with("https://") || url.starts_with("http://");
        if !url.is_empty() && !is_http {
            return refuse(
                "probe_url",
                "must be the http(s) URL of the published JWKS".to_owned(),
            );
        }
        Ok(())
    }
}

impl TokenSettings {
    fn check(&self) -> Result<(), InvalidField> {
        let ttls = [
            ("default_ttl", self.default_ttl),
            ("plan_ttl", self.plan_ttl),
            ("apply_ttl", self.apply_ttl),
        ];
        for (name, ttl) in ttls {
            let field = format!("tokens.{name}");
            if ttl.0 > MAX_LIFETIME {
                return Err(InvalidField::new(
                    field,
                    format!("is {ttl}; AWS and GCP refuse tokens older than 24h"),
                ));
            }
            if ttl.0 < Duration::from_secs(1) {
                return Err(InvalidField::new(field, "must be at least one second"));
            }
        }
        let module_test = self.module_test_ttl.0;
        if module_test < Duration::from_mins(5) || module_test > Duration::from_mins(30) {
            return Err(InvalidField::new(
                "tokens.module_test_ttl",
                "must be from 5m to 30m",
            ));
        }
        Ok(())
    }
}
