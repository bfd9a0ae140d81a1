# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# Kubernetes: the Python client and kubectl.

part_kubernetes() {
    local cluster
    cluster="$(json_field kubernetes <"$TEST_PARTIES")"
    local net=(
        KUBE_HOST="$cluster" KUBE_CLUSTER_CA_CERT_DATA="$(cat "$TEST_CA")" TFC_KUBERNETES_PROVIDER_AUTH=true
        TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE=kubernetes.workload.identity
    )
    local namespaces=("$python" "$clients/kubernetes_namespaces.py")
    local kubectl=(kubectl --cache-dir "$folder/kube-cache" get namespaces --output name)

    is "kubernetes: the Python client with the kubeconfig" default under "${net[@]}" -- "${namespaces[@]}"
    is "kubernetes: the renewed file" default under "${net[@]}" -- "${namespaces[@]}" --renewed
    is "kubernetes: kubectl with the kubeconfig" namespace/default under "${net[@]}" -- "${kubectl[@]}"
    # shellcheck disable=SC2016 # the inner shell's
    is "kubernetes: kubectl with KUBE_TOKEN" namespace/default under "${net[@]}" -- \
        sh -c 'unset KUBECONFIG; exec "$@" --server "$KUBE_HOST" --certificate-authority "$TEST_CA" --token "$KUBE_TOKEN"' \
        sh "${kubectl[@]}"

    plugin_kubeconfig "$folder/by-plugin.yaml" "$cluster" kubernetes.workload.identity
    plugin_kubeconfig "$folder/refused.yaml" "$cluster" nobody.allowed.this
    if at_least "$(kubectl_version)" 1.22; then
        is "kubernetes: kubectl with the exec plugin" namespace/default \
            env KUBECONFIG="$folder/by-plugin.yaml" "${kubectl[@]}"
        refuses "kubernetes: an exec plugin that is refused says why" "nobody.allowed.this" \
            env KUBECONFIG="$folder/refused.yaml" "${kubectl[@]}"
    else
        echo "        kubectl is older than 1.22, whose exec plugins spoke an older protocol: passed over"
    fi
    is "kubernetes: the Python client with the exec plugin" default \
        env KUBECONFIG="$folder/by-plugin.yaml" "${namespaces[@]}"

    refuses "kubernetes: a token for somebody else" "Unauthorized" \
        under "${net[@]}" TFC_KUBERNETES_WORKLOAD_IDENTITY_AUDIENCE=somebody.else -- "${namespaces[@]}"
}

kubectl_version() {
    kubectl version --client --output json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["clientVersion"]["gitVersion"].lstrip("v"))'
}

# Writes kubeconfig $1 for cluster $2, where `runmint token` is asked for tokens for audience $3.
plugin_kubeconfig() {
    cat >"$1" <<YAML
apiVersion: v1
kind: Config
clusters:
- name: test
  cluster: {server: "$2", certificate-authority: "$TEST_CA"}
users:
- name: run
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      interactiveMode: Never
      command: $runmint
      args: [token, --audience, $3, --format, exec-credential]
contexts:
- name: test
  context: {cluster: test, user: run}
current-context: test
YAML
}
