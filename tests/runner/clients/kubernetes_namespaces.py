"""Kubernetes' Python client with the kubeconfig of the environment: lists namespaces. With `--renewed`,
once more with a renewed token; it reads the token's file when it loads the kubeconfig."""

import os
import sys

import yaml
from kubernetes import client, config
from party import used_again_after_renewal


def namespaces():
    config.load_kube_config()
    return client.CoreV1Api().list_namespace().items


print(*(namespace.metadata.name for namespace in namespaces()))
if "--renewed" in sys.argv:
    with open(os.environ["KUBECONFIG"], encoding="utf-8") as file:
        token_file = yaml.safe_load(file)["users"][0]["user"]["tokenFile"]
    used_again_after_renewal(namespaces, token_file, "kubernetes", "namespaces")
