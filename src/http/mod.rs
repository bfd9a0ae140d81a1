//! The URL table, and what goes around every route. The only user of `axum` and `tower-http`.

mod admin;
mod attempt;
mod discovery;
mod error;
mod extract;
mod health;
mod introspect;
mod jwks;
mod layers;
mod metrics;
mod oauth;
mod oauth_error;
mod openapi;
mod request;
mod runs;
mod shortcut;
mod tfe;
mod tokens;
mod workload;

pub use axum::Router;
use axum::http::Method;
use axum::middleware::from_fn;
use axum::routing::get;
use tower_http::cors::{Any, CorsLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::layers::Around;
use self::shortcut::Shortcut;
use crate::app::App;

/// What the world sees: everything under the issuer's path.
pub fn public(app: App) -> Router {
    let (documents, of_documents) = OpenApiRouter::new()
        .routes(routes!(discovery::discovery))
        .routes(routes!(jwks::jwks))
        .split_for_parts();
    // Inside the layer, or a browser's preflight would be answered 405 outside of it.
    let documents = documents
        .method_not_allowed_fallback(layers::wrong_method)
        .layer(
            CorsLayer::new()
                .allow_origin(Any)
                .allow_methods([Method::GET, Method::HEAD])
                // The same for every origin, so no reason for a cache to keep one of each.
                .vary([]),
        );
    // Inside its own layer, so that whatever goes wrong is said in the protocol's form.
    let (oauth, of_oauth) = OpenApiRouter::new()
        .routes(routes!(oauth::token))
        .routes(routes!(introspect::introspect))
        .split_for_parts();
    let oauth = oauth.method_not_allowed_fallback(layers::wrong_method);
    let api = OpenApiRouter::with_openapi(openapi::public())
        .routes(routes!(runs::open))
        .routes(routes!(runs::show))
        .routes(routes!(runs::close))
        .routes(routes!(tokens::mint))
        .routes(routes!(request::github, request::azure_devops));
    let limit = layers::limit(&app);
    let oauth = oauth
        .layer(limit.clone())
        .layer(from_fn(oauth_error::in_this_form));
    let api = api.layer(limit);
    let health = OpenApiRouter::new()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz));
    let (router, mut description) = api.merge(health.clone()).split_for_parts();
    description.merge(of_documents);
    description.merge(of_oauth);
    openapi::set_server(&mut description, app.issuer.as_str());
    let router = router
        .merge(documents)
        .merge(oauth)
        .merge(openapi::route(&description))
        .with_state(app.clone());

    let router = match app.issuer.path() {
        "" => router,
        // Load balancers ask for health at the root, whatever the issuer's path.
        path => Router::new()
            .nest(path, router)
            .merge(health.split_for_parts().0.with_state(app.clone())),
    };
    let around = Around::new("public", &app);
    Shortcut::before(layers::around(router, around.clone()), around, app)
}

/// What operators see.
pub fn admin(app: &App) -> Router {
    let api = OpenApiRouter::with_openapi(openapi::admin())
        .routes(routes!(admin::keys::list))
        .routes(routes!(admin::keys::export))
        .routes(routes!(admin::keys::rotate))
        .routes(routes!(admin::keys::trim))
        .routes(routes!(admin::keys::revoke))
        .routes(routes!(admin::keys::exposure))
        .routes(routes!(admin::keys::rewrap))
        .routes(routes!(admin::clients::add, admin::clients::list))
        .routes(routes!(
            admin::clients::show,
            admin::clients::update,
            admin::clients::remove
        ))
        .routes(routes!(admin::issuers::add, admin::issuers::list))
        .routes(routes!(admin::issuers::test))
        .routes(routes!(
            admin::issuers::show,
            admin::issuers::update,
            admin::issuers::remove
        ))
        .routes(routes!(admin::secrets::list, admin::secrets::add))
        .routes(routes!(admin::secrets::remove))
        .routes(routes!(admin::operators::list, admin::operators::add))
        .routes(routes!(admin::operators::remove))
        .routes(routes!(
            admin::operators::list_tokens,
            admin::operators::add_token
        ))
        .routes(routes!(admin::operators::remove_token))
        .routes(routes!(admin::runs::list))
        .routes(routes!(admin::runs::show))
        .routes(routes!(admin::runs::close))
        .routes(routes!(admin::events::list))
        .routes(routes!(tfe::rotate_key))
        .routes(routes!(tfe::trim_key))
        .layer(layers::limit(app));
    let (router, description) = api
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .split_for_parts();
    let router = router
        .route("/metrics", get(metrics::metrics))
        .merge(openapi::route(&description))
        .with_state(app.clone());
    layers::around(router, Around::new("admin", app))
}
