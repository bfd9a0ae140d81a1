//! The thumbprint that AWS wants of a server whose CA nobody knows: `runmint trust aws` takes it from the
//! live server.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::site::{Authority, Site};
use crate::program::Setup;

#[tokio::test]
async fn it_is_that_of_the_last_certificate_that_the_server_sends() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("localhost", |_| {});
    let between = authority.intermediate.der().to_vec();
    let site = Site::with_chain(vec![certificate, between.clone()], key).await;
    let ran = Setup::bare()
        .run(&[
            "trust",
            "aws",
            "--account-id",
            "123456789012",
            "--issuer",
            &site.url,
            "--organization",
            "acme",
            "--project",
            "p",
            "--workspace",
            "net-1",
            "--fetch-thumbprint",
        ])
        .await;
    assert_eq!(ran.status, 0, "{ran:?}");
    let thumbprint: String = digest(&SHA1_FOR_LEGACY_USE_ONLY, &between)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat();
    let list = format!("thumbprint_list = [\"{thumbprint}\"]");
    assert!(ran.stdout.contains(&list), "{}", ran.stdout);
}
