"""A job that runs what a page says, and what is asked of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(os.environ["REPOSITORY"])
ISSUER = os.environ["ISSUER"]
RUNMINT = os.environ["RUNMINT"]
FOLDER = Path(sys.argv[1])
SECRETS = FOLDER / "etc-runmint"

# Applied, it prints the token, as careless code might, and keeps what it was given.
CODE = """
resource "terraform_data" "identity" {
  provisioner "local-exec" {
    command = "cat \\"$AWS_WEB_IDENTITY_TOKEN_FILE\\"; cp \\"$AWS_WEB_IDENTITY_TOKEN_FILE\\" applied"
  }
}
"""


class Page:
    """The blocks of a page, each marked in its first line: ```yaml recipe=gitlab."""

    def __init__(self, name: str, mark: str) -> None:
        self.name = name
        text = (ROOT / name).read_text()
        found = re.findall(rf"^```(\w+) {mark}=([\w-]+)\n(.*?)^```$", text, re.M | re.S)
        marked = len(re.findall(r"^```\w", text, re.M))
        assert marked == len(found), f"{name}: {marked - len(found)} blocks are not marked `{mark}=`"
        self.blocks = {(language, name): local(body) for language, name, body in found}

    def take(self, language: str, name: str) -> str:
        return self.blocks.pop((language, name))

    def is_done(self) -> None:
        assert not self.blocks, f"{self.name}: nothing has run {sorted(self.blocks)}"


def local(text: str) -> str:
    """The same text for this machine's server and folders."""
    text = text.replace("https://ci.example.com", ISSUER).replace("/etc/runmint/", f"{SECRETS}/")
    # Whichever port is free.
    return text.replace("127.0.0.1:8099", "127.0.0.1:0")


class Job:
    """A place to work, as a checkout is, with the environment that a job has."""

    def __init__(self, name: str, **variables: str) -> None:
        self.name = name
        self.work = FOLDER / name
        self.work.mkdir()
        (self.work / "main.tf").write_text(CODE)
        temporary = self.work / "tmp"
        temporary.mkdir()
        self.environment = {
            "PATH": f"{FOLDER / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "CHECKPOINT_DISABLE": "1",
        } | variables
        self.output = ""

    def run(self, *command: object, status: int = 0, stdin: str = "", **variables: str) -> None:
        """Runs a command in it, and holds it to its exit status."""
        ran = subprocess.run(
            [str(part) for part in command],
            cwd=self.work, env=self.environment | variables, input=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )
        self.output += ran.stdout
        assert ran.returncode == status, f"{self.name}: {command}: {ran.returncode}\n{ran.stdout}"

    def shell(self, script: str, *flags: str, shell: str = "sh", **others) -> None:
        self.run(shell, *flags, "-c", script, **others)

    def done(self, run_id: str | None, workspace: str = "net-1") -> None:
        """Holds it to what is asked of every recipe."""
        applied = (self.work / "applied").read_text()
        assert applied.count(".") == 2, f"{self.name}: the apply had no token"
        self.closed(run_id, ["plan", "apply"], workspace)

    def closed(self, run_id: str | None, phases: list[str], workspace: str = "net-1") -> None:
        runs = [run for run in new_runs() if run_id in (None, run["run_id"])]
        told = json.dumps(runs, indent=1) + self.output
        scope = f"organization:acme:project:Default Project:workspace:{workspace}:run_phase"
        subjects = sorted(run["subject"] for run in runs)
        assert subjects == sorted(f"{scope}:{phase}" for phase in phases), f"{self.name}: {told}"
        assert {run["state"] for run in runs} == {"closed"}, f"{self.name}: {told}"
        secret = re.search(r"rm[arc]_\w|eyJ[\w-]+\.|runmint-agent-", self.output)
        assert not secret, f"{self.name}: a secret was printed\n{self.output}"
        left = [path for path in self.work.rglob("tfc-*")]
        assert not left, f"{self.name}: {left} are left"
        print(f"ok      {self.name}")


def operator(*arguments: str) -> str:
    """What an operator's command prints."""
    ran = subprocess.run(
        [RUNMINT, *arguments], capture_output=True, text=True, check=False,
        env=os.environ | {"RUNMINT_ADMIN_URL": os.environ["ADMIN_URL"]},
    )
    assert ran.returncode == 0, f"runmint {arguments}: {ran.stderr}"
    return ran.stdout


SEEN: set[str] = set()


def new_runs() -> list[dict]:
    """Runs that no recipe before has opened."""
    runs = json.loads(operator("runs", "list", "--limit", "100", "--format", "json"))["runs"]
    new = [run for run in runs if run["id"] not in SEEN]
    SEEN.update(run["id"] for run in new)
    return new


def secret_of(client: str) -> str:
    return (SECRETS / f"{client}.secret").read_text().strip()
