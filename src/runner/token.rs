//! An identity token as its runner sees it: to be handed on, and to be renewed in time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::text::SecretText;
use crate::domain::phase::Phase;
use crate::domain::time::Timestamp;

/// A signed token and what its claims say. The signature is for relying parties to check: whoever
/// gave it was asked over a connection of the runner's own choice.
#[derive(Clone, Debug)]
pub struct IdentityToken {
    text: SecretText,
    /// Its claims.
    pub claims: TokenClaims,
}

/// The claims that the runner's side reads (RFC 7519 section 4.1, and HCP Terraform's).
#[derive(Clone, Debug, Deserialize)]
pub struct TokenClaims {
    /// Its unique id.
    pub jti: Option<String>,
    /// Who it is about.
    pub sub: String,
    /// When it was made, by the issuer's clock.
    pub iat: Timestamp,
    /// When it ends, by the issuer's clock.
    pub exp: Timestamp,
    /// `run-…`, or `trun-…` of a module test; a stack has none.
    pub terraform_run_id: Option<String>,
    /// The phase of the run; a stack has none.
    pub terraform_run_phase: Option<Phase>,
}

/// Why what was answered is no token. Its text is never part of the message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoToken {
    /// It has not three parts with a dot between each two.
    #[error("it is no JWT (three parts with dots between them)")]
    Form,
    /// The middle part is not what it should be.
    #[error("its claims cannot be read (`sub`, `iat` and `exp` are needed)")]
    Claims,
}

impl IdentityToken {
    /// Reads a JWT in compact form (RFC 7515 section 7.1).
    ///
    /// # Errors
    /// [`NoToken`], for whatever a relying party could not take either.
    pub fn parse(text: &str) -> Result<Self, NoToken> {
        let [header, claims, signature] = text
            .split('.')
            .collect::<Vec<_>>()
            .try_into()
            .map_err(|_| NoToken::Form)?;
        let is_part = |part: &str| {
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !part.is_empty() && part.bytes().all(is_base64url)
        };
        if ![header, claims, signature].into_iter().all(is_part) {
            return Err(NoToken::Form);
        }
        let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| NoToken::Form)?;
        let claims = serde_json::from_slice(&claims).map_err(|_| NoToken::Claims)?;
        Ok(Self {
            text: SecretText::new(text),
            claims,
        })
    }

    /// The token itself.
    pub fn text(&self) -> &SecretText {
        &self.text
    }

    /// How long it lives from when it was made, in seconds: what the issuer's clock says about both
    /// ends, so that this machine's clock need not be right.
    pub fn lifetime(&self) -> i64 {
        self.claims.exp.seconds_since(self.claims.iat).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn claims_are_read_and_the_text_is_kept_as_it_is() {
        let text = token(
            r#"{"jti": "j", "sub": "s", "iat": 10, "exp": 70, "aud": "a",
                "terraform_run_id": "run-1", "terraform_run_phase": "apply"}"#,
        );
        let token = IdentityToken::parse(&text).unwrap();
        assert_eq!(token.text().expose(), text);
        assert_eq!(token.lifetime(), 60);
        assert_eq!(token.claims.terraform_run_phase, Some(Phase::Apply));
        assert!(!format!("{token:?}").contains(&text));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let good = token(r#"{"sub": "s", "iat": 1, "exp": 2}"#);
        for text in [
            "",
            "a.b",
            "a..c",
            &format!("{good}\n"),
            &format!("{good}.x"),
        ] {
            assert_eq!(IdentityToken::parse(text).unwrap_err(), NoToken::Form);
        }
        let without_exp = token(r#"{"sub": "s", "iat": 1}"#);
        assert_eq!(
            IdentityToken::parse(&without_exp).unwrap_err(),
            NoToken::Claims
        );
    }
}
