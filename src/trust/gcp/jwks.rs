//! The issuer's public keys, where they are uploaded.

use serde_json::Value;

use crate::trust::TrustError;

/// The members that IAM takes (its REST reference, `oidc.jwksJson`; `x5c` and `x5t` are documented as
/// unsupported).
const MEMBERS: &[&str] = &["alg", "crv", "e", "kid", "kty", "n", "use", "x", "y"];

/// Members of private keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: &[&str] = &["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

/// Reads a JWKS and refuses what IAM would refuse.
pub(super) fn read(text: &str) -> Result<Value, TrustError> {
    let refuse = |rule: &str| TrustError::new("--jwks", rule);
    let jwks: Value = serde_json::from_str(text)
        .map_err(|_| refuse("is no JSON; give the file that the issuer serves as its JWKS"))?;
    let keys = jwks.get("keys").and_then(Value::as_array);
    let Some(keys) = keys.filter(|keys| !keys.is_empty()) else {
        return Err(refuse(
            "holds no `keys`; give the file that the issuer serves as its JWKS",
        ));
    };
    for (index, key) in keys.iter().enumerate() {
        check_key(index, key)?;
    }
    Ok(jwks)
}

fn check_key(index: usize, key: &Value) -> Result<(), TrustError> {
    let refuse = |rule: String| {
        Err(TrustError::new(
            "--jwks",
            format!("has a key ({index}) {rule}"),
        ))
    };
    let Some(members) = key.as_object() else {
        return refuse("that is no object".to_owned());
    };
    if members.keys().any(|name| PRIVATE.contains(&name.as_str())) {
        return refuse(
            "that is private: it must never leave the issuer; give the public JWKS, and replace that key"
                .to_owned(),
        );
    }
    if let Some(name) = members
        .keys()
        .find(|name| !MEMBERS.contains(&name.as_str()))
    {
        return refuse(format!(
            "with `{name}`, which IAM does not take; leave it out"
        ));
    }
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("kid").is_none() {
        return refuse("without a `kid`, by which IAM finds it".to_owned());
    }
    match (text("kty"), text("crv")) {
        (Some("RSA"), _) | (Some("EC"), Some("P-256")) => Ok(()),
        _ => refuse("that is neither RSA nor EC with P-256, which is what IAM takes".to_owned()),
    }
}
