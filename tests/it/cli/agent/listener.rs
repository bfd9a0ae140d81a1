//! The request protocol on this machine, at a port or at a socket.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;

use axum::http::StatusCode;
use nix::sys::signal::Signal;
use reqwest::{Client, RequestBuilder};

use crate::cli::runner::{Runner, mode};
use crate::harness::{AWS, Answer};
use crate::program::{answer, claims};
use crate::runner::files::own_gid;

async fn answered(request: RequestBuilder) -> Answer {
    answer(request).await.unwrap()
}

/// Where an agent is asked, and with what.
struct Asked {
    http: Client,
    base: String,
    token: String,
}

impl Asked {
    fn at_a_port(variables: &BTreeMap<String, String>) -> Self {
        let base = variables["RUNMINT_REQUEST_URL"].split("/v1/").next();
        Self {
            http: Client::new(),
            base: base.unwrap().to_owned(),
            token: variables["RUNMINT_REQUEST_TOKEN"].clone(),
        }
    }

    fn at_a_socket(variables: &BTreeMap<String, String>) -> Self {
        let socket = variables["RUNMINT_AGENT_SOCKET"].as_str();
        Self {
            http: Client::builder().unix_socket(socket).build().unwrap(),
            base: "http://agent".to_owned(),
            token: variables["RUNMINT_AGENT_TOKEN"].clone(),
        }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base))
    }

    /// Asserts that it answers with tokens, and to nobody without its token.
    async fn assert_answers(&self, runner: &Runner) {
        let aws = format!("/v1/token?run={}&audience={AWS}", runner.run.id);
        let got = answered(self.get(&aws).bearer_auth(&self.token)).await;
        assert_eq!(got.status, StatusCode::OK, "{got:?}");
        assert_eq!(got.header("cache-control"), "no-store");
        let token = got.json["value"].as_str().unwrap();
        assert_eq!(got.json["count"], token.len());
        assert_eq!(claims(token)["sub"], runner.run.subject);
        let posted = answered(self.post(&aws).bearer_auth(&self.token)).await;
        let token = posted.json["oidcToken"].as_str().unwrap();
        assert_eq!(claims(token)["aud"], AWS);

        for wrong in ["", "runmint-agent-1", &runner.run.token] {
            for request in [self.get(&aws), self.post(&aws), self.get("/v1/runs/1")] {
                let refused = answered(request.bearer_auth(wrong)).await;
                assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
                assert_eq!(refused.header("content-type"), "application/problem+json");
            }
        }
        let without = answered(self.get(&aws)).await;
        assert_eq!(without.status, StatusCode::UNAUTHORIZED, "{without:?}");
    }
}

#[tokio::test]
async fn whoever_shows_the_agents_token_gets_the_runs_tokens() {
    let runner = Runner::new().await;
    let agent = runner.agent(&["--listen", "127.0.0.1:0"]).await;
    let asked = Asked::at_a_port(&runner.sourced());
    asked.assert_answers(&runner).await;

    let token = &asked.token;
    for nothing in ["/v1/token", "/v1/token?audience="] {
        let refused = answered(asked.get(nothing).bearer_auth(token)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{refused:?}");
        assert_eq!(refused.json["detail"], "`audience` is missing");
    }
    // Azure's clients name none.
    let azure = answered(asked.post("/v1/token").bearer_auth(token)).await;
    let elsewhere = asked.get("/v1/token?audience=elsewhere");
    let elsewhere = answered(elsewhere.bearer_auth(token)).await;
    for (refused, audience) in [
        (azure, "api://AzureADTokenExchange"),
        (elsewhere, "elsewhere"),
    ] {
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
        let detail = refused.json["detail"].as_str().unwrap();
        assert!(detail.contains(audience), "{detail}");
    }

    let run = asked.get(&format!("/v1/runs/{}", runner.run.id));
    let run = answered(run.bearer_auth(token)).await.json;
    assert_eq!(
        [&run["subject"], &run["run_phase"], &run["state"]],
        [&runner.run.subject, "plan", "open"]
    );
    for open in ["/healthz", "/readyz"] {
        assert_eq!(answered(asked.get(open)).await.status, StatusCode::OK);
    }
    runner.close().await;
    let closed = asked.get(&format!("/v1/token?audience={AWS}"));
    let closed = answered(closed.bearer_auth(token)).await;
    assert!(closed.status.is_client_error(), "{closed:?}");
    runner.end(agent, Signal::SIGTERM).await;
}

#[tokio::test]
async fn runmint_s_own_commands_ask_the_agent_as_they_ask_the_server() {
    let runner = Runner::new().await.with_aws();
    let agent = runner.agent(&["--listen", "127.0.0.1:0"]).await;
    let mut setup = runner.setup.clone();
    for (name, value) in runner.sourced() {
        setup = setup.with_variable(&name, &value);
    }
    let ran = setup.run(&["token", "--audience", AWS]).await;
    assert_eq!(claims(ran.done())["sub"], runner.run.subject);
    let ran = setup.run(&["token", "--audience", "elsewhere"]).await;
    ran.refused(1, &["http://127.0.0.1:", "answered 403"]);

    let script = r#"echo "$AWS_WEB_IDENTITY_TOKEN_FILE"; cat "$AWS_WEB_IDENTITY_TOKEN_FILE""#;
    let ran = setup.run(&["exec", "--", "sh", "-c", script]).await;
    let (path, token) = ran.done().split_once('\n').unwrap();
    let expected = runner.folder().join("tfc-aws-token");
    assert_eq!(path, expected.display().to_string(), "not the agent's own");
    assert_eq!(claims(token)["sub"], runner.run.subject);

    // That the run is closed is for whoever was handed it.
    let ran = setup.run(&["exec", "--close", "--", "true"]).await;
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.stderr.contains("could not be closed"), "{ran:?}");
    assert_eq!(runner.state().await, "open");
    runner.end(agent, Signal::SIGTERM).await;
}

#[tokio::test]
async fn it_is_served_on_this_machine_alone() {
    let runner = Runner::new().await.with_aws();
    let socket = runner.path("socket");
    for (options, words) in [
        (&["--listen", "0.0.0.0:0"][..], "`--listen 0.0.0.0:0`"),
        (&["--listen", "[::]:0"], "`--listen [::]:0`"),
        (
            &["--listen", "127.0.0.1:0", "--socket", &socket],
            "--socket",
        ),
    ] {
        let ran = runner.over(runner.start_agent(options)).await;
        ran.refused(2, &[words]);
        assert!(!runner.is_there("credentials"), "{ran:?}");
    }
}

#[tokio::test]
async fn a_socket_is_for_those_who_may_read_the_files() {
    let runner = Runner::new().await;
    let socket = runner.path("socket");
    let group = own_gid().to_string();
    for (options, expected) in [
        (&["--socket", socket.as_str()][..], 0o600),
        (&["--socket", &socket, "--group", &group], 0o660),
    ] {
        let agent = runner.agent(options).await;
        assert_eq!(mode(socket.as_ref()), expected);
        let variables = runner.sourced();
        let names: Vec<_> = variables.keys().collect();
        assert_eq!(names, ["RUNMINT_AGENT_SOCKET", "RUNMINT_AGENT_TOKEN"]);
        Asked::at_a_socket(&variables).assert_answers(&runner).await;
        runner.end(agent, Signal::SIGTERM).await;
        assert!(!runner.is_there("socket"));
    }
}

#[tokio::test]
async fn a_socket_that_nobody_serves_is_replaced_and_whatever_else_is_there_is_not() {
    let runner = Runner::new().await;
    let socket = runner.path("socket");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(runner.is_there("socket"), "it is left over");
    let agent = runner.agent(&["--socket", &socket]).await;
    let asked = Asked::at_a_socket(&runner.sourced());

    let dir = runner.path("another");
    let another = ["agent", "--dir", &dir, "--socket", &socket];
    let ran = runner.ran(&another).await;
    let words = format!("cannot listen at {socket}: ");
    ran.refused(3, &[&words]);
    asked.assert_answers(&runner).await;
    runner.end(agent, Signal::SIGTERM).await;

    runner.let_go("socket");
    runner.ran(&another).await.refused(3, &[&words]);
    assert_eq!(runner.read("socket"), "");
    assert!(!runner.is_there("another"));
}
