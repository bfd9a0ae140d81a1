//! Certificates of the tests (`tests/it/certificates/make`), and clients that trust their CA.

use std::path::{Path, PathBuf};

use reqwest::{Certificate, Client, ClientBuilder};

/// A file of the tests' own.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/certificates")
        .join(name)
}

/// Its path, as a setting or an option has it.
pub(crate) fn path(name: &str) -> String {
    file(name).display().to_string()
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).unwrap()
}

/// A client that trusts the CA of the tests and nobody else.
pub(crate) fn trusting(with: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let ca = Certificate::from_pem(&read("ca.pem")).unwrap();
    with(Client::builder().tls_certs_only([ca]))
        .build()
        .unwrap()
}

/// What a client shows of itself.
pub(crate) fn identity(name: &str) -> reqwest::Identity {
    let mut pem = read(&format!("{name}.pem"));
    pem.extend(read(&format!("{name}.key")));
    reqwest::Identity::from_pem(&pem).unwrap()
}
