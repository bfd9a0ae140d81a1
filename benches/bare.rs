//! What there is to compare with, built with the same compiler and the same crates: the bare HTTP
//! framework, set up as `runmint::server` sets it up, and the signatures by themselves.
//!
//! ```text
//! bare serve PORT BYTES ALGORITHM   answers every GET and POST of /body with so many bytes of JSON, and of
//!                                   /signed after a signature and its check
//! bare sign ALGORITHM               microseconds that one signature takes on one core
//! bare verify ALGORITHM             and one check against the published keys
//! ```

#![expect(clippy::print_stdout, reason = "its numbers go to standard output")]

use std::error::Error;
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use hyper_util::rt::TokioTimer;
use runmint::domain::issuer::Issuer;
use runmint::domain::key::{Algorithm, KeyState, KeyVersion, Version};
use runmint::domain::time::Timestamp;
use runmint::keys::keyring::Keyring;
use runmint::keys::seal::{Sealer, SealingKey};
use runmint::keys::signer::{GeneratedKey, Signer};
use tikv_jemallocator::Jemalloc;

// As runmint's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// As long as the claims of an ordinary run.
const PAYLOAD: usize = 760;

/// How long one operation is repeated.
const MEASURED: Duration = Duration::from_secs(1);

/// As in `runmint::server`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["serve", port, bytes, algorithm] => {
            let algorithm = Algorithm::parse("ALGORITHM", algorithm)?;
            serve(port.parse()?, bytes.parse()?, algorithm)
        }
        ["sign", algorithm] => sign(Algorithm::parse("ALGORITHM", algorithm)?),
        ["verify", algorithm] => verify(Algorithm::parse("ALGORITHM", algorithm)?),
        _ => {
            Err("usage: bare serve PORT BYTES ALGORITHM | sign ALGORITHM | verify ALGORITHM".into())
        }
    }
}

#[tokio::main]
async fn serve(port: u16, bytes: usize, algorithm: Algorithm) -> Result<(), Box<dyn Error>> {
    let frame = r#"{"value":""}"#.len();
    let filling = "x".repeat(bytes.saturating_sub(frame));
    let body = Bytes::from(format!(r#"{{"value":"{filling}"}}"#));
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body).into_response() }
    };
    let (signer, keyring) = key(algorithm)?;
    let (signing, payload) = (Arc::new((signer, keyring)), payload());
    let signed = {
        let answer = answer.clone();
        move || {
            let (signer, keyring) = &*signing;
            let token = signer.sign(&payload);
            let is_sound = token.is_ok_and(|token| keyring.verifies(&token));
            let answer = answer();
            async move {
                if is_sound {
                    answer.await
                } else {
                    StatusCode::INTERNAL_SERVER_ERROR.into_response()
                }
            }
        }
    };
    let router = Router::new()
        .route("/body", get(answer.clone()).post(answer))
        .route("/signed", get(signed.clone()).post(signed));
    let mut server = axum_server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .first_request_timeout(HEAD_TIMEOUT);
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD);
    server.http_builder().http2().timer(TokioTimer::new());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    Ok(server.serve(service).await?)
}

fn sign(algorithm: Algorithm) -> Result<(), Box<dyn Error>> {
    let (signer, _) = key(algorithm)?;
    let payload = payload();
    print_microseconds(|| signer.sign(black_box(&payload)).is_ok())
}

fn verify(algorithm: Algorithm) -> Result<(), Box<dyn Error>> {
    let (signer, keyring) = key(algorithm)?;
    let token = signer.sign(&payload())?;
    print_microseconds(|| keyring.verifies(black_box(&token)))
}

/// A new key: what signs with it, and what is published of it.
fn key(algorithm: Algorithm) -> Result<(Signer, Keyring), Box<dyn Error>> {
    let key = GeneratedKey::generate(algorithm)?;
    let signer = Signer::new(Version(1), &key.kid, key.algorithm, &key.private)?;
    let published = KeyVersion {
        version: Version(1),
        algorithm,
        kid: key.kid.clone(),
        public_jwk: key.public_jwk.clone(),
        sealed_private: None,
        state: KeyState::Active {
            seen_at: None,
            activated_at: Timestamp(0),
        },
        expedited: false,
        created_at: Timestamp(0),
        tokens_until: Timestamp(0),
    };
    let issuer = Issuer::parse("https://issuer.example.com")?;
    let sealer = Sealer::new(SealingKey::parse(&SealingKey::generate()?)?, Vec::new());
    let keyring = Keyring::build(1, vec![published], &issuer, &sealer, None)?;
    Ok((signer, keyring))
}

fn payload() -> Vec<u8> {
    let filling = "x".repeat(PAYLOAD - r#"{"sub":""}"#.len());
    format!(r#"{{"sub":"{filling}"}}"#).into_bytes()
}

fn print_microseconds(operation: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < MEASURED {
        if !operation() {
            return Err("the operation failed".into());
        }
        count += 1;
    }
    println!(
        "{:.2}",
        started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
    );
    Ok(())
}
