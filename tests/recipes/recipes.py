"""Takes the recipes out of docs/recipes.md and runs them; started by `run`, beside it.

In what is taken, only the server's address and the folders change. Of each recipe is asked: the plan and
the apply are two runs with one `run_id`, both closed at the end; the credentials were there; no secret was
printed.
"""

import json
import os
import re
import shutil
import signal
import subprocess

import yaml

import manifests
import runner_page
from identity import Issuer, RequestUrl
from job import FOLDER, ISSUER, ROOT, RUNMINT, SECRETS, Job, Page, new_runs, operator, secret_of
from pod import Pod

PAGE = Page("docs/recipes.md", "recipe")
take = PAGE.take


def trust(name: str) -> Issuer:
    """Adds the issuer that the page defines for this system, with keys that are here."""
    definition = take("json", name)
    issuer = Issuer(json.loads(definition)["issuer"])
    for kind, text in (("definition", definition), ("jwks", issuer.jwks())):
        (FOLDER / f"{name}.{kind}").write_text(text)
    files = [f"--{kind}={FOLDER / f'{name}.{kind}'}" for kind in ("definition", "jwks")]
    operator("issuers", "add", name, *files)
    return issuer


def refused(job: Job, token: str, phase: str = "apply") -> None:
    """This token opens no run."""
    job.run("terraform-run", phase, "net-1", "run-1", status=3, RUNMINT_CLIENT_SECRET=token)
    assert new_runs() == [], job.output


def clients() -> None:
    SECRETS.mkdir()
    environment = os.environ | {"RUNMINT_ADMIN_URL": os.environ["ADMIN_URL"]}
    environment["PATH"] = f"{FOLDER / 'bin'}:{environment['PATH']}"
    for name in ("clients", "forgejo-client"):
        script = f"umask 077; {take('sh', name)}"
        subprocess.run(["bash", "-euc", script], cwd=SECRETS, env=environment, check=True)
    for name, workspace, phases in (
        ("infra-plan", "infra-*", ["plan"]),
        ("infra-apply", "infra-*", ["apply"]),
        ("otf", "*", ["plan", "apply"]),
    ):
        grant = {"organization": "acme", "workspace": workspace, "run_phases": phases,
                 "audiences": ["aws.workload.identity"], "max_ttl": 7200}
        secret = operator("clients", "add", name, "--grant", json.dumps(grant))
        (SECRETS / f"{name}.secret").write_text(secret)


def script() -> None:
    """The script that the others call: what it does when things go wrong."""
    path = FOLDER / "bin/terraform-run"
    path.write_text(take("sh", "terraform-run"))
    path.chmod(0o755)

    job = Job("terraform-run", RUNMINT_URL=ISSUER, TFC_AWS_PROVIDER_AUTH="true",
              TFC_AWS_RUN_ROLE_ARN="arn:aws:iam::123456789012:role/net-plan",
              RUNMINT_CLIENT_SECRET=secret_of("net-1-plan"))
    job.run("terraform-run", "destroy", "net-1", "run-1", status=2)
    refused(job, secret_of("net-1-plan"))
    (job.work / "main.tf").write_text("broken")
    job.run("terraform-run", "plan", "net-1", "run-broken", status=1)
    # Traced, as some systems do with all that they run.
    job.run("sh", "-x", "-c", "terraform-run plan net-1 run-broken", status=1)
    job.closed("run-broken", ["plan", "plan"])


def shell() -> None:
    text = take("sh", "shell")
    job = Job("a shell")
    job.shell(text, stdin="yes\n")
    job.done(None)
    job = Job("a shell, refused by its user")
    job.shell(text, stdin="no\n", status=1)
    job.closed(None, ["plan"])


def atlantis() -> None:
    workflow = yaml.safe_load(take("yaml", "atlantis"))["workflows"]["runmint"]
    job = Job("Atlantis", BASE_REPO_NAME="infra", PROJECT_NAME="net-1", PULL_NUM="12")
    job.environment["PLANFILE"] = str(job.work / "infra-net-1-default.tfplan")
    for stage in ("plan", "apply"):
        variables = {}
        for step in workflow[stage]["steps"]:
            match step:
                case {"env": {"name": name, "value": value}}:
                    variables[name] = value
                case {"run": command}:
                    job.shell(command, **variables)
                case _:
                    raise SystemExit(f"Atlantis: unknown step {step}")
    job.done(None, "infra-net-1")


def jenkins() -> None:
    text = take("groovy", "jenkins")
    for pair in ("{}", "()", "[]"):
        assert text.count(pair[0]) == text.count(pair[1]), f"Jenkins: {pair} do not match"
    environment = dict(re.findall(r"^    (\w+) = '([^']*)'$", text, re.M))
    job = Job("Jenkins", BUILD_NUMBER="7", **environment)
    steps = re.findall(
        r"withCredentials\(\[string\(credentialsId: '([^']+)', variable: '(\w+)'\)\]\) \{\s*sh '([^']+)'",
        text,
    )
    assert len(steps) == text.count("sh '") == 2
    for credential, variable, command in steps:
        job.shell(command, "-xe", **{variable: secret_of(credential)})
    job.done("run-net-1-7")


def actions_steps(job: dict) -> list[dict]:
    return [step for step in job["steps"] if "run" in step]


def gitea() -> None:
    workflow = yaml.safe_load(take("yaml", "gitea"))["jobs"]["terraform"]
    job = Job("Gitea", GITHUB_RUN_ID="8", **workflow["env"])
    for step in actions_steps(workflow):
        secrets = {
            name: secret_of(re.fullmatch(r"\$\{\{ secrets\.(\w+) \}\}", value)[1].lower().replace("_", "-"))
            for name, value in step["env"].items()
        }
        job.shell(step["run"], "-e", shell="bash", **secrets)
    job.done("run-net-1-8")


def forgejo() -> None:
    workflow = yaml.safe_load(take("yaml", "forgejo"))["jobs"]["terraform"]
    assert workflow["enable-openid-connect"] is True
    issuer = trust("forgejo")
    claims = {"repository": "acme/net-1", "event_name": "push", "ref": "refs/heads/main"}
    served = RequestUrl(issuer, claims)
    job = Job("Forgejo", GITHUB_RUN_ID="9", **workflow["env"],
              ACTIONS_ID_TOKEN_REQUEST_URL=f"{served.url}?placeholder=true",
              ACTIONS_ID_TOKEN_REQUEST_TOKEN="of-the-job")
    for step in actions_steps(workflow):
        job.shell(step["run"], "-e", shell="bash")
    job.done("run-net-1-9")
    for wrong in ({"repository": "acme/net-2"}, {"event_name": "pull_request"}, {"ref": "refs/heads/x"}):
        refused(job, issuer.token(ISSUER, claims | wrong))


def buildkite() -> None:
    pipeline = yaml.safe_load(take("yaml", "buildkite"))
    issuer = trust("buildkite")
    claims = {"organization_id": "0184990a-477b-4fa8-9968-496074483cee", "pipeline_slug": "net-1",
              "build_branch": "main"}
    artifacts = FOLDER / "artifacts"
    artifacts.mkdir()
    served = RequestUrl(issuer, claims)
    job = Job("Buildkite", BUILDKITE_BUILD_NUMBER="10", **pipeline["env"],
              IDENTITY_URL=served.url, ARTIFACTS=str(artifacts))
    for step in pipeline["steps"]:
        if "command" not in step:
            continue
        # Another agent, so another checkout.
        (job.work / "tfplan").unlink(missing_ok=True)
        # An upload of the pipeline leaves one of two dollars, and puts its own values for `$NAME`.
        assert not re.search(r"(?<!\$)\$(?!\$)", step["command"]), step["command"]
        command = step["command"].replace("$$", "$")
        job.shell(command, "-e", shell="bash", BUILDKITE_STEP_KEY=step["key"])
    job.done("run-net-1-10")
    claims["step_key"] = "apply"
    for wrong in ({"organization_id": "other"}, {"pipeline_slug": "net-2"}, {"build_branch": "x"},
                  {"step_key": "plan"}, {"step_key": None}):
        refused(job, issuer.token(ISSUER, claims | wrong))


def gitlab() -> None:
    pipeline = yaml.safe_load(take("yaml", "gitlab"))
    issuer = trust("gitlab")
    claims = {"namespace_id": "72", "project_path": "acme/net-1", "ref_protected": "true",
              "ref_type": "branch"}
    job = Job("GitLab", CI_PIPELINE_ID="11")
    for name in ("plan", "apply"):
        described = pipeline[pipeline[name]["extends"]] | pipeline[name]
        tokens = {
            variable: issuer.token(token["aud"], claims)
            for variable, token in described["id_tokens"].items()
        }
        script = "\n".join(described["script"])
        job.shell(script, "-eo", "pipefail", shell="bash", **described["variables"], **tokens)
    job.done("run-net-1-11")
    for wrong in ({"namespace_id": "7"}, {"project_path": "acme/net-2"}, {"ref_protected": "false"},
                  {"ref_type": "tag"}):
        refused(job, issuer.token(ISSUER, claims | wrong), phase="apply")


def otf() -> None:
    job = Job("OTF", IDENTITY_WORKSPACE="net-1")
    engine = FOLDER / "engines/1.11.4/terraform"
    engine.parent.mkdir(parents=True)
    engine.write_text(take("sh", "otf"))
    engine.chmod(0o755)
    shutil.copy(FOLDER / "bin/terraform", f"{engine}-real", follow_symlinks=True)
    job.run(engine, "init", "-input=false")
    job.run(engine, "plan", "-input=false", "-out=plan.out")
    job.run(engine, "show", "-json", "plan.out")
    job.run(engine, "init", "-input=false")
    job.run(engine, "apply", "-input=false", "plan.out")
    job.done(None)


def kubernetes() -> None:
    folder = ROOT / "contrib/kubernetes"
    specs = {}
    for path in sorted(folder.glob("*.yaml")):
        for document in manifests.kubernetes_documents(path):
            if spec := manifests.pod_spec(document):
                manifests.check_confinement(spec, path.name)
                specs[path.name] = spec
        print(f"ok      {path.name}: every field is one that Kubernetes knows")
    issuer = trust("kubernetes")

    job = Job("terraform-job.yaml")
    plan = specs["terraform-job.yaml"]
    text = yaml.safe_dump(plan).replace("terraform-plan", "terraform-apply")
    text = text.replace("--run-phase=plan", "--run-phase=apply")
    text = text.replace("plan -input=false -out=tfplan", "apply -input=false tfplan")
    for spec in (plan, yaml.safe_load(text)):
        pod = Pod(job, spec, issuer)
        pod.identity(spec["serviceAccountName"])
        pod.run("open-run")
        pod.run("terraform")
    shutil.copy(pod.volumes["work"] / "applied", job.work)
    job.done("run-net-1-7")

    job = Job("agent-sidecar.yaml")
    pod = Pod(job, specs["agent-sidecar.yaml"], issuer)
    pod.identity("terraform-plan")
    pod.run("open-run")
    agent = pod.start("runmint-agent")
    pod.run("terraform")
    agent.send_signal(signal.SIGTERM)
    job.output += agent.communicate(timeout=60)[0]
    assert agent.returncode == 0, job.output
    job.closed("run-net-1-7", ["plan"])

    for wrong in ({"namespace": "net-2"}, {"serviceaccount": {"name": "default"}}, {"pod": None},
                  {"serviceaccount": {"name": "terraform-plan"}}):
        bound = {"namespace": "net-1", "serviceaccount": {"name": "terraform-apply"}, "pod": {"uid": "1"}}
        claims = {"kubernetes.io": {k: v for k, v in (bound | wrong).items() if v is not None}}
        job.environment["RUNMINT_URL"] = ISSUER
        refused(job, issuer.token(ISSUER, claims))


def main() -> None:
    clients()
    for recipe in (script, shell, atlantis, jenkins, gitea, forgejo, buildkite, gitlab, otf, kubernetes):
        recipe()
    PAGE.is_done()
    run = runner_page.opened()
    runner_page.check(run)
    runner_page.check_migration(run)
    unit = ROOT / "contrib/systemd/runmint-agent.service"
    print(f"ok      {unit.name}: {manifests.check_unit(unit, RUNMINT, FOLDER)}")


if __name__ == "__main__":
    main()
