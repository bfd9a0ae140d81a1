//! The OpenAPI description, made from the handlers.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, RefOr, Server};

use crate::app::App;

/// The frame of the public listener's description.
pub(super) fn public() -> OpenApi {
    frame(
        "runmint",
        "Opens runs and mints their identity tokens.",
        &[
            (
                "client",
                HttpAuthScheme::Bearer,
                "A client secret, `rmc_…`, or a trusted issuer's token that stands for a client",
            ),
            (
                "client_basic",
                HttpAuthScheme::Basic,
                "A client's name and secret, as RFC 6749 section 2.3.1 has it",
            ),
            (
                "run",
                HttpAuthScheme::Bearer,
                "A run's request token, `rmr_…`",
            ),
        ],
    )
}

/// The frame of the admin listener's description.
pub(super) fn admin() -> OpenApi {
    frame(
        "runmint admin",
        "Keys, clients, trusted issuers, operators, runs and the audit log.",
        &[(
            "operator",
            HttpAuthScheme::Bearer,
            "An operator's token, `rma_…`; one with read access serves for each GET",
        )],
    )
}

/// Says under which URL the routes are.
pub(super) fn set_server(description: &mut OpenApi, url: &str) {
    description.servers = Some(vec![Server::new(url)]);
}

/// Serves a description, rendered once.
pub(super) fn route(description: &OpenApi) -> Router<App> {
    let text = describe_responses(description.clone())
        .to_json()
        .unwrap_or_default();
    let handler = async move || ([(header::CONTENT_TYPE, "application/json")], text);
    Router::new().route("/openapi.json", get(handler))
}

/// Every response has to be described (OpenAPI 3.1 section 4.8.17); what most routes have in common is
/// said here.
fn describe_responses(mut description: OpenApi) -> OpenApi {
    for item in description.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else {
                    continue;
                };
                if response.description.is_empty() {
                    let words = match status.as_bytes() {
                        [b'2', ..] => "It is done",
                        [b'4', ..] => "The request is refused; the body says what to change",
                        _ => "It cannot be done at the moment, or the server is at fault",
                    };
                    words.clone_into(&mut response.description);
                }
            }
        }
    }
    description
}

fn frame(title: &str, description: &str, schemes: &[(&str, HttpAuthScheme, &str)]) -> OpenApi {
    let mut info = Info::new(title, env!("CARGO_PKG_VERSION"));
    info.description = Some(description.to_owned());
    let mut components = Components::new();
    for (name, scheme, description) in schemes {
        let mut scheme = Http::new(scheme.clone());
        scheme.description = Some((*description).to_owned());
        components.add_security_scheme(*name, SecurityScheme::Http(scheme));
    }
    let mut openapi = OpenApi::new(info, utoipa::openapi::Paths::new());
    openapi.components = Some(components);
    openapi
}
