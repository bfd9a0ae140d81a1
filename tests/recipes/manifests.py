"""The files of contrib/: are they what Kubernetes and systemd would take?"""

import re
import shutil
import subprocess
from pathlib import Path

import yaml
from kubernetes import client


def kubernetes_documents(path: Path) -> list[dict]:
    """The documents of a manifest, each held against the fields that its kind has."""
    documents = list(yaml.safe_load_all(path.read_text()))
    for document in documents:
        kind = {"v1": "V1", "batch/v1": "V1"}[document["apiVersion"]] + document["kind"]
        check(document, kind, f"{path.name}: {document['kind']}")
    return documents


def check(value: object, kind: str, where: str) -> None:
    """Kubernetes would refuse, or pass over, a field that it does not know, and so does this."""
    if value is None:
        raise SystemExit(f"{where}: is empty")
    if listed := re.fullmatch(r"list\[(.*)\]", kind, re.I):
        assert isinstance(value, list), f"{where}: is no list"
        for index, item in enumerate(value):
            check(item, listed[1], f"{where}[{index}]")
    elif mapped := re.fullmatch(r"dict[(\[]str, (.*)[)\]]", kind, re.I):
        assert isinstance(value, dict), f"{where}: is no map"
        for name, item in value.items():
            check(item, mapped[1], f"{where}.{name}")
    elif hasattr(client, kind):
        model = getattr(client, kind)
        assert isinstance(value, dict), f"{where}: is no object"
        names = {field: name for name, field in model.attribute_map.items()}
        for field, item in value.items():
            assert field in names, f"{where}: {kind} has no field `{field}`"
            check(item, model.openapi_types[names[field]], f"{where}.{field}")
        # The constructors refuse what lacks a required field.
        model(**{names[field]: item for field, item in value.items()})
    else:
        types = {"str": str, "int": int, "bool": bool, "object": object}
        assert isinstance(value, types[kind]), f"{where}: {value!r} is no {kind}"


def pod_spec(document: dict) -> dict | None:
    """The pod that a document makes, if it makes one."""
    match document["kind"]:
        case "Pod":
            return document["spec"]
        case "Job":
            return document["spec"]["template"]["spec"]
        case _:
            return None


def check_confinement(spec: dict, where: str) -> None:
    """No root, no rights beyond the least, no identity but where it is needed."""
    assert spec["automountServiceAccountToken"] is False, where
    assert spec["securityContext"]["runAsNonRoot"] is True, where
    assert spec["securityContext"]["fsGroup"] > 0, where
    with_identity = []
    for container in spec["initContainers"] + spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, (where, container["name"])
        assert context["readOnlyRootFilesystem"] is True, (where, container["name"])
        assert context["capabilities"] == {"drop": ["ALL"]}, (where, container["name"])
        mounts = [mount["name"] for mount in container["volumeMounts"]]
        known = [volume["name"] for volume in spec["volumes"]]
        assert set(mounts) <= set(known), (where, mounts)
        if "identity" in mounts:
            with_identity.append(container["name"])
    assert with_identity == ["open-run"], (where, with_identity)
    memory = {volume["name"]: volume.get("emptyDir", {}).get("medium") for volume in spec["volumes"]}
    assert memory["run"] == "Memory" and memory.get("credentials", "Memory") == "Memory", (where, memory)


def check_unit(path: Path, runmint: str, folder: Path) -> str:
    """systemd's own verdict on a unit, with a program that is there. Says how that went."""
    if shutil.which("systemd-analyze") is None:
        return "systemd-analyze is not here; the unit was not looked at"
    copy = folder / path.name
    copy.write_text(path.read_text().replace("/usr/local/bin/runmint", runmint))
    for command in (
        ["systemd-analyze", "verify", copy],
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", copy],
    ):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
    # `--group` gives files to a group, and @privileged holds the calls for that.
    filters = [line for line in path.read_text().splitlines() if line.startswith("SystemCallFilter=")]
    assert filters[-1] == "SystemCallFilter=@chown", "chown is taken away by ~@privileged"
    return "systemd-analyze finds no fault in the unit"
