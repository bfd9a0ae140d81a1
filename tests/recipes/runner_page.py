"""What docs/runner.md and docs/migrate-from-hcp-terraform.md show: each example by its own consumer."""

import configparser
import json
import os
import re
import shlex

import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import google.auth.transport.requests
import yaml
from google.auth import identity_pool, pluggable
from kubernetes import config

from job import FOLDER, ISSUER, ROOT, Job, Page, operator

GCP = "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci/providers/runmint"
AUDIENCES = ["aws.workload.identity", "kubernetes.workload.identity", "sigstore", GCP]


def opened() -> dict[str, str]:
    """A run for whatever the pages show, as its runner sees it."""
    grant = {"organization": "acme", "workspace": "pages", "audiences": AUDIENCES}
    secret = operator("clients", "add", "pages", "--grant", json.dumps(grant)).strip()
    audiences = [f"--audience={audience}" for audience in AUDIENCES]
    job = Job("open", RUNMINT_URL=ISSUER, RUNMINT_CLIENT_SECRET=secret)
    job.run("runmint", "runs", "open", "--organization=acme", "--project=Default Project",
            "--workspace=pages", "--run-phase=plan", *audiences)
    return dict(line.split("=", 1) for line in job.output.split())


def check(run: dict[str, str]) -> None:
    page = Page("docs/runner.md", "runner")
    job = Job("pages", **run)

    job.shell(page.take("sh", "token"))
    token = (job.work / "token").read_text()
    assert token.count(".") == 2 and token.strip() == token
    job.shell(page.take("sh", "exec"))
    agent(page.take("sh", "agent"), job)
    reader(page.take("sh", "reader"), job)
    aws(page.take("ini", "aws"), job)
    google_sources(page, job)
    kubeconfig(page.take("yaml", "kubeconfig"), job)
    code = page.take("hcl", "hcl")
    # The stand-in is a file of its own.
    if (FOLDER / "bin/terraform").is_symlink():
        job.run("terraform", "fmt", "-check", "-", stdin=code)
    page.is_done()
    print(f"ok      {page.name}")


def agent(script: str, job: Job) -> None:
    """In a shell that ends it, and then looks whether the folder is gone."""
    script += """
test "$(wc -c < credentials/sigstore-token)" -gt 100
runmint token --audience sigstore > by-the-agent
kill "$!"
wait "$!"
test ! -e credentials
"""
    job.shell(script, "-eu", shell="bash")


def reader(command: str, job: Job) -> None:
    """It says what the page says."""
    page = (ROOT / "docs/runner.md").read_text()
    shown = page.split(command.rstrip(), 1)[1].split("```")[2].strip()
    if os.geteuid() != 0:
        return
    for folder in (FOLDER, job.work):
        folder.chmod(0o755)
    before = len(job.output)
    job.shell(command, status=1)
    said = job.output[before:].strip().replace(str(job.work), "/srv/job")
    assert said == shown, f"docs/runner.md shows\n{shown}\nand it says\n{said}"


class Sts(BaseHTTPRequestHandler):
    """As much of STS as shows that a helper was understood; tests/runner has a strict one."""

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        is_token = form["WebIdentityToken"][0].count(".") == 2
        assert is_token and form["RoleSessionName"][0].startswith("terraform-run-")
        body = b"""<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
            <AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>key</SecretAccessKey>
            <SessionToken>session</SessionToken><Expiration>2030-01-01T00:00:00Z</Expiration>
            </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def aws(profile: str, job: Job) -> None:
    parsed = configparser.ConfigParser()
    parsed.read_string(profile)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    before = len(job.output)
    job.run(*shlex.split(parsed["profile deploy"]["credential_process"]), AWS_ENDPOINT_URL_STS=endpoint)
    keys = json.loads(job.output[before:])
    assert keys["Version"] == 1 and keys["SessionToken"] == "session", keys


def google_sources(page: Page, job: Job) -> None:
    """Google's own library gets the subject token from both."""
    os.environ.update(job.environment | {"GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES": "1"})
    for name, library in (("gcp-executable", pluggable), ("gcp-url", identity_pool)):
        text = page.take("json", name)
        for variable in ("RUNMINT_REQUEST_URL", "RUNMINT_REQUEST_TOKEN"):
            text = text.replace(variable, job.environment[variable])
        credentials = library.Credentials.from_info(json.loads(text))
        token = credentials.retrieve_subject_token(google.auth.transport.requests.Request())
        assert token.count(".") == 2, name


def kubeconfig(text: str, job: Job) -> None:
    """The Kubernetes client runs the plugin and takes the token."""
    client = config.new_client_from_config_dict(yaml.safe_load(text))
    bearer = client.configuration.get_api_key_with_prefix("BearerToken") or \
        client.configuration.get_api_key_with_prefix("authorization")
    assert re.fullmatch(r"Bearer [\w-]+\.[\w-]+\.[\w-]+", bearer or ""), "the plugin gave no token"


def check_migration(run: dict[str, str]) -> None:
    page = Page("docs/migrate-from-hcp-terraform.md", "migrate")
    policy = json.loads(page.take("json", "aws"))
    old, new = (json.dumps(statement) for statement in policy["Statement"])
    assert old.replace("app.terraform.io", "ci.example.com") == new
    entries = yaml.safe_load(page.take("yaml", "kubernetes"))["jwt"]
    assert [entry["issuer"]["url"] for entry in entries] == ["https://app.terraform.io", ISSUER]
    # There is no Vault here: only whether it is a shell's language.
    subprocess.run(["bash", "-n", "-c", page.take("sh", "vault")], check=True)
    job = Job("migration", **run)
    job.shell(page.take("sh", "check"))
    assert "organization:acme:project:Default Project:workspace:pages:run_phase:plan" in job.output
    page.is_done()
    print(f"ok      {page.name} (Vault's commands are only parsed)")
