//! Foreign tokens: a genuine one is taken, and nothing that was made of it is, unless it says the very
//! same under the very same signature.

use std::cell::{Cell, OnceCell};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::{Mutation, any_json, assert_sane, fuzz, mutate, mutations, text};
use crate::foreign::{KUBERNETES, Key, kubernetes, kubernetes_claims};
use crate::harness::{AWS, Answer, TestApp};

/// What is done to the text of a token.
#[derive(Clone, Debug)]
enum Damage {
    /// Nothing: it is taken.
    None,
    /// These bytes, without regard to what was there.
    Anything(Vec<u8>),
    /// Claims or header changed, the signature kept.
    Claims(Vec<(Index, Mutation)>),
    Header(Vec<(Index, Mutation)>),
    /// The same bytes in another alphabet.
    Encoding(usize, u8),
    /// One bit of one part, decoded.
    Flip(usize, Index, u8),
    /// One character replaced by, or one put before, another.
    Replace(Index, char),
    Insert(Index, char),
    /// Less of it.
    Truncate(Index),
    /// Parts in another order and number.
    Parts(Vec<usize>),
    /// The same JSON, written differently.
    Respell(usize),
}

fn damages() -> impl Strategy<Value = Damage> + Clone {
    let character = prop_oneof![
        "[A-Za-z0-9_.=+/ -]".prop_map(|c| c.chars().next().unwrap()),
        any::<char>()
    ];
    prop_oneof![
        1 => Just(Damage::None),
        1 => vec(any::<u8>(), 0..300).prop_map(Damage::Anything),
        1 => "[A-Za-z0-9_-]{0,40}(\\.[A-Za-z0-9_-]{0,40}){0,4}".prop_map(|s| Damage::Anything(s.into_bytes())),
        4 => vec(mutations(), 1..4).prop_map(Damage::Claims),
        3 => vec(mutations(), 1..4).prop_map(Damage::Header),
        2 => (0_usize..3, 0_u8..4).prop_map(|(part, alphabet)| Damage::Encoding(part, alphabet)),
        4 => (0_usize..3, any::<Index>(), 0_u8..8).prop_map(|(part, byte, bit)| Damage::Flip(part, byte, bit)),
        3 => (any::<Index>(), character.clone()).prop_map(|(at, c)| Damage::Replace(at, c)),
        3 => (any::<Index>(), character).prop_map(|(at, c)| Damage::Insert(at, c)),
        1 => any::<Index>().prop_map(Damage::Truncate),
        1 => vec(0_usize..3, 0..6).prop_map(Damage::Parts),
        1 => (0_usize..2).prop_map(Damage::Respell),
    ]
}

/// The damaged text; nothing if the damage did none.
fn damaged(token: &str, damage: &Damage) -> Vec<u8> {
    let parts: Vec<&str> = token.split('.').collect();
    let decoded = |part: usize| URL_SAFE_NO_PAD.decode(parts[part]).unwrap();
    let with = |part: usize, text: String| {
        let mut parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
        parts[part] = text;
        parts.join(".")
    };
    let mutated = |part: usize, mutations: &[(Index, Mutation)]| {
        let mut document: Value = serde_json::from_slice(&decoded(part)).unwrap();
        for (place, mutation) in mutations {
            mutate(&mut document, *place, mutation);
        }
        with(part, URL_SAFE_NO_PAD.encode(document.to_string()))
    };
    match damage {
        Damage::None => token.to_owned(),
        Damage::Anything(bytes) => return bytes.clone(),
        Damage::Claims(mutations) => mutated(1, mutations),
        Damage::Header(mutations) => mutated(0, mutations),
        Damage::Encoding(part, alphabet) => {
            let bytes = decoded(*part);
            let text = match alphabet {
                0 => STANDARD.encode(bytes),
                1 => STANDARD_NO_PAD.encode(bytes),
                2 => URL_SAFE.encode(bytes),
                _ => format!("{}=", URL_SAFE_NO_PAD.encode(bytes)),
            };
            with(*part, text)
        }
        Damage::Flip(part, byte, bit) => {
            let mut bytes = decoded(*part);
            let at = byte.index(bytes.len());
            bytes[at] ^= 1 << bit;
            with(*part, URL_SAFE_NO_PAD.encode(bytes))
        }
        Damage::Replace(at, with) => {
            let mut characters: Vec<char> = token.chars().collect();
            let at = at.index(characters.len());
            characters[at] = *with;
            characters.into_iter().collect()
        }
        Damage::Insert(at, new) => {
            let mut text = token.to_owned();
            text.insert(at.index(token.len() + 1), *new);
            text
        }
        Damage::Truncate(at) => token[..at.index(token.len())].to_owned(),
        Damage::Parts(order) => order
            .iter()
            .map(|part| parts[*part])
            .collect::<Vec<_>>()
            .join("."),
        Damage::Respell(part) => {
            let spaced = String::from_utf8(decoded(*part))
                .unwrap()
                .replacen('{', "{ ", 1);
            with(*part, URL_SAFE_NO_PAD.encode(spaced))
        }
    }
    .into_bytes()
}

async fn exchange(app: &TestApp, token: &[u8]) -> Answer {
    let token: String = url::form_urlencoded::byte_serialize(token).collect();
    let form = format!(
        "grant_type=urn:ietf:params:oauth:grant-type:token-exchange\
         &subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience={AWS}&subject_token={token}"
    );
    app.post("/oauth/token")
        .body("application/x-www-form-urlencoded", form)
        .send()
        .await
}

#[test]
fn only_the_genuine_token_is_taken() {
    let key = Key::ec("k1");
    let next = Cell::new(0);
    fuzz(
        "token",
        4,
        &damages(),
        &async |app, damage| {
            next.set(next.get() + 1);
            let genuine = key.token(&kubernetes_claims(&format!("j{}", next.get())));
            let bytes = damaged(&genuine, &damage);
            let answer = exchange(app, &bytes).await;
            assert_sane("/oauth/token", &answer)?;
            // A form's reader trims nothing; what is left is the text itself.
            if bytes == genuine.as_bytes() {
                prop_assert_eq!(answer.status.as_u16(), 200, "{:?}", answer);
            } else {
                prop_assert_eq!(answer.status.as_u16(), 400, "{:?}: {:?}", damage, answer);
                // As a client's credential it is none either.
                let header = String::from_utf8_lossy(&bytes).into_owned();
                if header.chars().all(|c| c.is_ascii_graphic()) && !header.is_empty() {
                    let answer = app.get("/v1/runs/1").bearer(&header).send().await;
                    assert_sane("/v1/runs/1", &answer)?;
                    prop_assert_eq!(answer.status.as_u16(), 401);
                }
                // The damage cost the genuine one nothing.
                let answer = exchange(app, genuine.as_bytes()).await;
                prop_assert_eq!(answer.status.as_u16(), 200, "{:?}", answer);
            }
            Ok(())
        },
        &async |app| app.trust("k8s", &kubernetes(&[&key])).await,
    );
}

/// Signed by the right key, so that all of it is read.
#[test]
fn whatever_an_issuer_signs_maps_into_its_grants_or_to_nothing() {
    let key = Key::ec("k1");
    let next = Cell::new(0);
    let documents = prop_oneof![
        6 => vec(mutations(), 0..4).prop_map(Ok),
        1 => any_json().prop_map(|value| Err(value.to_string())),
        1 => text().prop_map(Err),
    ];
    let headers = vec(mutations(), 0..2);
    fuzz(
        "signed token",
        4,
        &(documents, headers),
        &async |app, (payload, header)| {
            next.set(next.get() + 1);
            let mut claims = kubernetes_claims(&format!("s{}", next.get()));
            let payload = match payload {
                Ok(mutations) => {
                    for (place, mutation) in &mutations {
                        mutate(&mut claims, *place, mutation);
                    }
                    claims.to_string()
                }
                Err(text) => text,
            };
            let mut document = key.header();
            for (place, mutation) in &header {
                mutate(&mut document, *place, mutation);
            }
            let token = key.sign(document.to_string().as_bytes(), payload.as_bytes());
            let answer = exchange(app, token.as_bytes()).await;
            assert_sane("/oauth/token", &answer)?;
            if answer.status != 200 {
                return Ok(());
            }
            let claims: Value = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!(&claims["iss"], KUBERNETES);
            prop_assert_eq!(&document["kid"], "k1");
            prop_assert_eq!(&document["alg"], "ES256");
            let subject = answer.json["subject"].as_str().unwrap();
            let workspace = subject
                .strip_prefix("organization:acme:project:Default Project:workspace:net-")
                .and_then(|rest| rest.strip_suffix(":run_phase:plan"));
            prop_assert!(
                workspace.is_some_and(|name| !name.contains([':', '*'])),
                "{}",
                subject
            );
            prop_assert!(claims["exp"].as_f64().is_some_and(
                |exp| exp > 0.0 && exp >= f64::from(u32::try_from(app.now().0).unwrap())
            ));
            Ok(())
        },
        &async |app| app.trust("k8s", &kubernetes(&[&key])).await,
    );
}

/// A relying party's question about whatever it was shown.
#[test]
fn only_a_token_of_ours_is_active() {
    let ours = OnceCell::new();
    let kinds = (
        damages(),
        select(vec!["access_token", "refresh_token", "x"]),
    );
    fuzz(
        "introspection",
        4,
        &kinds,
        &async |app, (damage, hint)| {
            let (secret, genuine): &(String, String) = ours.get().unwrap();
            let bytes = damaged(genuine, &damage);
            let token: String = url::form_urlencoded::byte_serialize(&bytes).collect();
            let call = app.post("/oauth/introspect").bearer(secret);
            let form = format!("token={token}&token_type_hint={hint}");
            let answer = call
                .body("application/x-www-form-urlencoded", form)
                .send()
                .await;
            assert_sane("/oauth/introspect", &answer)?;
            if bytes.is_empty() {
                prop_assert_eq!(answer.status.as_u16(), 400, "{:?}", answer);
                return Ok(());
            }
            prop_assert_eq!(answer.status.as_u16(), 200, "{:?}", answer);
            let is_genuine = bytes == genuine.as_bytes();
            prop_assert_eq!(&answer.json["active"], &json!(is_genuine), "{:?}", damage);
            let nothing = json!({"active": false});
            prop_assert!(is_genuine || answer.json == nothing);
            Ok(())
        },
        &async |app| {
            let secret = app.client("orchestrator").await;
            let run = app.run(&secret, "plan").await;
            let token = app.token(&run).await;
            ours.set((secret, token)).unwrap();
        },
    );
}
