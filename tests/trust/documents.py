"""Writes every document that `runmint trust` knows, in every form, and has it read by what reads it at the
relying party."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml

RUNMINT = os.environ["RUNMINT"]
FOLDER = Path(sys.argv[1])

# Who is let in: a project with a space in its name, one workspace, several, and any.
SCOPE = ["--issuer", "https://ci.example.com/oidc", "--organization", "acme", "--project", "Default Project"]
ONE = [*SCOPE, "--workspace", "net-1"]
SEVERAL = [*ONE, "--workspace", "net-2"]
ANY = [*SCOPE, "--workspace", "*"]
APART = [*ONE, "--split-phases"]
PLAN = [*ONE, "--phase", "plan"]

ACCOUNT = ["--account-id", "123456789012"]
POLICIES = ["--policy-arn", "arn:aws:iam::aws:policy/ReadOnlyAccess"]
GCP = ["--project-number", "1234567890", "--project-id", "acme-net"]
ONE_ACCOUNT = ["--service-account", "net-apply@acme-net.iam.gserviceaccount.com"]
ROLE_ARN = ["--via-role", "arn:aws:iam::123456789012:role/ci/net"]

# What is called, with what each relying party needs, and the forms that it has.
CALLS = [
    ("aws", [*scope, *ACCOUNT, *more], ["terraform", "cloudformation", "cli", "json"])
    for scope, more in [
        (ONE, POLICIES),
        (SEVERAL, POLICIES),
        (ANY, []),
        (APART, ["--plan-policy-arn", POLICIES[1]]),
        (PLAN, ["--existing-provider", "--session-tags"]),
        (ONE, ["--partition", "aws-cn", "--thumbprint", "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"]),
    ]
]
CALLS += [
    ("azure", [*scope, *more], ["terraform", "az", "json"])
    for scope, more in [
        (ONE, ["--application-id", "11111111-2222-3333-4444-555555555555"]),
        (SEVERAL, ["--identity-name", "net", "--resource-group", "ci"]),
        (APART, []),
    ]
]
CALLS += [
    ("gcp", [*scope, *GCP, *more], ["terraform", "cli", "json"])
    for scope, more in [
        (ONE, ONE_ACCOUNT),
        (ANY, ONE_ACCOUNT),
        (APART, ["--service-account", "net-plan@acme-net.iam.gserviceaccount.com", *ONE_ACCOUNT]),
    ]
]
CALLS += [("vault", scope, ["terraform", "cli", "json"]) for scope in (ONE, SEVERAL, ANY, APART)]
CALLS += [("hcp", scope, ["terraform", "json"]) for scope in (ONE, ANY, APART)]
CALLS += [("kubernetes", scope, ["yaml", "terraform"]) for scope in (ONE, SEVERAL, ANY, APART)]
CALLS += [
    ("eks", [*scope, "--cluster", "net", *more], ["terraform", "cli", "json", "yaml"])
    for scope, more in [
        (ONE, []),
        (ONE, ROLE_ARN),
        (APART, [*ROLE_ARN, "--via-plan-role", "arn:aws:iam::123456789012:role/ci/plan"]),
    ]
]

# Fields of AuthenticationConfiguration (Kubernetes' documentation, "kube-apiserver Configuration (v1)").
AUTHENTICATION = {
    "apiVersion": None,
    "kind": None,
    "jwt": [
        {
            "issuer": {
                "url": None,
                "discoveryURL": None,
                "certificateAuthority": None,
                "audiences": None,
                "audienceMatchPolicy": None,
                "egressSelectorType": None,
            },
            "claimValidationRules": [
                {"claim": None, "requiredValue": None, "expression": None, "message": None}
            ],
            "claimMappings": {
                "username": {"claim": None, "prefix": None, "expression": None},
                "groups": {"claim": None, "prefix": None, "expression": None},
                "uid": {"claim": None, "expression": None},
                "extra": [{"key": None, "valueExpression": None}],
            },
            "userValidationRules": [{"expression": None, "message": None}],
        }
    ],
    "anonymous": {"enabled": None, "conditions": None},
}


class Wrong(Exception):
    """A document is not what its reader takes."""


def main():
    count = 0
    failed = []
    for number, (party, arguments, forms) in enumerate(CALLS):
        for form in forms:
            folder = FOLDER / f"{number}-{party}-{form}"
            try:
                documents = written(party, arguments, form, folder)
                for document in documents:
                    read(party, form, folder / document["name"])
                    count += 1
            except Wrong as wrong:
                failed.append(f"runmint trust {party} {' '.join(arguments)} --form {form}: {wrong}")
    for failure in failed:
        print(f"FAILED  {failure}")
    print(f"{count} documents were read, {len(failed)} calls failed")
    sys.exit(1 if failed else 0)


def written(party, arguments, form, folder):
    command = [RUNMINT, "trust", party, *arguments, "--form", form, "--dir", str(folder), "--format", "json"]
    ran = run(command)
    documents = json.loads(ran.stdout)["documents"]
    if not documents:
        raise Wrong("it writes nothing")
    for document in documents:
        if (folder / document["name"]).read_text() != document["text"]:
            raise Wrong(f"{document['name']} is not what was said")
    return documents


def read(party, form, path):
    if form == "terraform":
        terraform(path)
    elif form == "cloudformation":
        run(["cfn-lint", "--regions", "eu-west-1", "--", str(path)])
    elif form == "json" or path.suffix == ".json":
        json.loads(path.read_text())
    elif form == "yaml" or path.suffix in {".yaml", ".yml"}:
        for document in yaml.safe_load_all(path.read_text()):
            kubernetes(document)
    else:
        shell(path)


def terraform(path):
    if shutil.which("terraform"):
        run(["terraform", "fmt", "-check", "-diff", str(path)])


def kubernetes(document):
    # The list that belongs into aws-auth is no document of its own.
    if isinstance(document, list):
        for role in document:
            if not {"rolearn", "username", "groups"} >= set(role):
                raise Wrong(f"aws-auth knows no {set(role)}")
    elif document["kind"] == "AuthenticationConfiguration":
        known(document, AUTHENTICATION, "")
    else:
        try:
            kubernetes_validate.validate(document, "1.33", strict=True)
        except kubernetes_validate.ValidationError as error:
            raise Wrong(f"{document['kind']}: {error}") from error


def known(value, fields, place):
    """Whether a value has no other fields than these."""
    if fields is None:
        return
    if isinstance(fields, list):
        for item in value:
            known(item, fields[0], place)
        return
    for name, inside in value.items():
        if name not in fields:
            raise Wrong(f"`{place}{name}` is no field of AuthenticationConfiguration")
        known(inside, fields[name], f"{place}{name}.")


# The AWS CLI checks the arguments against the service's description, and calls nobody.
AWS = """#!/bin/sh
said=$("$AWS" "$@" --generate-cli-skeleton output 2>&1) && exit
case $said in
    # The answer that it makes up does not fit its own rules; by then the arguments have passed.
    *"parameter Role."*) exit 0 ;;
esac
printf '%s\\n' "$said" >&2
exit 1
"""

# The others are only told: what they are called with must be what a shell makes of it.
TOLD = """#!/bin/sh
printf '%s\\n' "$0" "$@" >> "$TOLD"
"""


def shell(path):
    run(["sh", "-n", str(path)])
    stand_ins = FOLDER / "bin"
    stand_ins.mkdir(exist_ok=True)
    for name, text in [("aws", AWS)] + [(name, TOLD) for name in ("az", "gcloud", "vault", "bao", "kubectl")]:
        (stand_ins / name).write_text(text)
        (stand_ins / name).chmod(0o755)
    told = FOLDER / "told"
    told.write_text("")
    environment = {
        "PATH": f"{stand_ins}:/usr/bin:/bin",
        "AWS": os.environ["AWS"],
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "HOME": str(FOLDER),
        "TOLD": str(told),
    }
    run(["sh", "-eu", str(path)], env=environment, cwd=path.parent)


def run(command, **more):
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **more)
    if ran.returncode != 0:
        raise Wrong(f"{command[0]}: {(ran.stdout + ran.stderr).strip()[-1500:]}")
    return ran


main()
