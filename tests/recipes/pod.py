"""Runs a pod's containers on this machine, as far as that goes."""

import os
import re
import shutil
import subprocess
import time

from identity import Issuer
from job import Job, local


class Pod:
    """Runs a pod's containers one by one, as their users where that is possible, in folders of its own."""

    def __init__(self, job: Job, spec: dict, issuer: Issuer) -> None:
        self.job, self.spec, self.issuer = job, spec, issuer
        self.is_root = os.geteuid() == 0
        self.volumes = {}
        for volume in spec["volumes"]:
            folder = job.work / f"{job.name}-{volume['name']}"
            folder.mkdir(exist_ok=True)
            self.volumes[volume["name"]] = folder
            # As kubelet does with `fsGroup`.
            folder.chmod(0o2777)
            if self.is_root:
                os.chown(folder, 0, spec["securityContext"]["fsGroup"])
        for folder in (job.work, job.work / "tmp"):
            folder.chmod(0o777)
        shutil.copy(job.work / "main.tf", self.volumes["work"])

    def identity(self, account: str) -> None:
        projected = self.spec_volume("identity")["projected"]["sources"][0]["serviceAccountToken"]
        bound = {"namespace": "net-1", "serviceaccount": {"name": account}, "pod": {"uid": "1"}}
        token = self.issuer.token(local(projected["audience"]), {"kubernetes.io": bound})
        file = self.volumes["identity"] / projected["path"]
        file.write_text(token)
        file.chmod(0o640)
        if self.is_root:
            os.chown(file, 0, self.spec["securityContext"]["fsGroup"])

    def spec_volume(self, name: str) -> dict:
        return next(volume for volume in self.spec["volumes"] if volume["name"] == name)

    def command(self, container: dict, parts: list[str]) -> list[str]:
        """The command with this machine's paths, and as the container's user."""
        context = self.spec["securityContext"] | container["securityContext"]
        folders = {mount["mountPath"]: str(self.volumes[mount["name"]]) for mount in container["volumeMounts"]}
        # Whole paths, and each once: what comes in may hold another one's name.
        paths = re.compile(rf"(?<![\w/.-])({'|'.join(map(re.escape, folders))})(?=[/\s]|$)")
        text = [paths.sub(lambda found: folders[found[1]], local(part)) for part in parts]
        if self.is_root:
            ids = [f"--reuid={context['runAsUser']}", f"--regid={context['runAsGroup']}"]
            return ["setpriv", *ids, f"--groups={context['fsGroup']}", "--no-new-privs", *text]
        ids = {"1012": os.getgid(), "1000": os.getuid()}
        return [re.sub(r"\b(1012|1000)\b", lambda found: str(ids[found[0]]), part) for part in text]

    def environment(self, container: dict) -> dict[str, str]:
        environment = {"PATH": self.job.environment["PATH"], "CHECKPOINT_DISABLE": "1"}
        for variable in container.get("env", []):
            environment[variable["name"]] = variable["value"]
        temporary = str(self.volumes["tmp"])
        return {name: temporary if value == "/tmp" else value for name, value in environment.items()}

    def container(self, name: str) -> dict:
        containers = self.spec["initContainers"] + self.spec["containers"]
        return next(container for container in containers if container["name"] == name)

    def run(self, name: str) -> None:
        container = self.container(name)
        ran = subprocess.run(
            self.command(container, container["command"] + container["args"]),
            cwd=self.volumes["work"], env=self.environment(container),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )
        self.job.output += ran.stdout
        assert ran.returncode == 0, f"{self.job.name}: {name}: {ran.returncode}\n{ran.stdout}"

    def start(self, name: str) -> subprocess.Popen:
        """Starts a sidecar and waits for its startup probe."""
        container = self.container(name)
        process = subprocess.Popen(
            self.command(container, container["command"] + container["args"]),
            cwd=self.volumes["work"], env=self.environment(container),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        probe = self.command(container, container["startupProbe"]["exec"]["command"])
        deadline = time.monotonic() + container["startupProbe"]["failureThreshold"]
        while subprocess.run(probe, check=False).returncode != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise SystemExit(f"{self.job.name}: {name} did not start\n{process.communicate()[0]}")
            time.sleep(0.05)
        return process
