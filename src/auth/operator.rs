//! Operators and their tokens: the configured one, which needs no database, and those of named
//! operators.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::AuthError;
use super::last_used::Use;
use super::secret::{self, Kind, Secret};
use crate::domain::event::Actor;
use crate::domain::operator::{Access, CONFIGURED};
use crate::domain::time::Timestamp;
use crate::store::Store;

/// An operator who may look at everything, and perhaps change it: see [`Self::full`].
#[derive(Debug)]
pub struct Operator {
    name: String,
    access: Access,
    pub(super) used: Option<Use>,
}

/// An operator who may change things. Only such a one can be written down as the
/// [`Actor`] that each change asks for.
#[derive(Debug)]
pub struct FullOperator(Operator);

impl Operator {
    /// As one who may change things.
    ///
    /// # Errors
    /// [`AuthError::ReadOnly`].
    pub fn full(self) -> Result<FullOperator, AuthError> {
        match self.access {
            Access::Full => Ok(FullOperator(self)),
            Access::Read => Err(AuthError::ReadOnly(self.name)),
        }
    }
}

impl FullOperator {
    /// Who it is, for the audit log.
    pub fn actor(&self) -> Actor {
        Actor::Operator(self.0.name.clone())
    }
}

/// The configured admin tokens, as their hashes: the one in use, and the one before it while it is
/// being changed.
#[derive(Clone, Debug)]
pub struct AdminTokens {
    current: String,
    previous: Option<String>,
}

impl AdminTokens {
    /// Takes the hashes of the configured tokens and forgets the tokens.
    pub fn new(current: &str, previous: Option<&str>) -> Self {
        Self {
            current: secret::hash(current),
            previous: previous.map(secret::hash),
        }
    }

    /// Whether this is a configured token.
    pub fn is_configured(&self, bearer: &str) -> bool {
        let hash = secret::hash(bearer);
        let is = |configured: &String| {
            verify_slices_are_equal(configured.as_bytes(), hash.as_bytes()).is_ok()
        };
        is(&self.current) || self.previous.as_ref().is_some_and(is)
    }

    /// Finds the operator that has this token. The database is asked only for what is well-formed
    /// and not configured, so that a configured token opens the door while it is away.
    ///
    /// # Errors
    /// As [`AuthError`] says.
    pub async fn authenticate(
        &self,
        bearer: &str,
        store: &Store,
        now: Timestamp,
    ) -> Result<Operator, AuthError> {
        const TOKEN: &str = "admin token";
        let is_ours = bearer.starts_with(Kind::Admin.prefix());
        if is_ours {
            Secret::parse(Kind::Admin, bearer)?;
        }
        let hash = secret::hash(bearer);
        let is = |configured: &String| {
            verify_slices_are_equal(configured.as_bytes(), hash.as_bytes()).is_ok()
        };
        let is_current = is(&self.current);
        let is_previous = !is_current && self.previous.as_ref().is_some_and(is);
        if is_current || is_previous {
            if is_previous {
                tracing::info!(
                    "the previous admin token was used: it is worth nothing once \
                     `admin.previous_token` is removed"
                );
            }
            return Ok(Operator {
                name: CONFIGURED.to_owned(),
                access: Access::Full,
                used: Some(Use::Configured),
            });
        }
        if !is_ours {
            return Err(AuthError::Unknown(TOKEN));
        }
        let found = store.find_operator_by_token(&hash).await?;
        let (operator, token) = found.ok_or(AuthError::Unknown(TOKEN))?;
        if token.is_expired(now) {
            return Err(AuthError::Expired(TOKEN));
        }
        let name = operator.name.to_string();
        let used = token.is_use_news(now).then(|| Use::Operator {
            name: name.clone(),
            hash,
        });
        Ok(Operator {
            name,
            access: operator.access,
            used,
        })
    }
}
