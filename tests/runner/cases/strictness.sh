# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# That the relying parties refuse what they should: else all that they take would say nothing.

part_strictness() {
    local forged="$folder/forged"
    forge aws.workload.identity "$forged-aws"
    local aws=(env AWS_ROLE_ARN=arn:aws:iam::123456789012:role/net AWS_ROLE_SESSION_NAME=forged)
    refuses "strictness: AWS and a forged token" "Token signature invalid" \
        "${aws[@]}" AWS_WEB_IDENTITY_TOKEN_FILE="$forged-aws" "$python" "$clients/boto3_identity.py"
    printf '%s\n' "$("$runmint" token --audience aws.workload.identity)" >"$folder/with-newline"
    refuses "strictness: AWS and a file with a newline" "not a valid JWT" \
        "${aws[@]}" AWS_WEB_IDENTITY_TOKEN_FILE="$folder/with-newline" "$python" "$clients/boto3_identity.py"

    forge "$POOL/providers/runmint" "$forged-google"
    external_account "$folder/forged.json" "$POOL/providers/runmint" '{"file": "'"$forged-google"'"}'
    refuses "strictness: Google and a forged token" "Unable to verify the ID Token signature" \
        env "${by_name[@]}" GOOGLE_APPLICATION_CREDENTIALS="$folder/forged.json" \
        "$python" "$clients/google_buckets.py"

    forge api://AzureADTokenExchange "$forged-azure"
    refuses "strictness: Entra and a forged token" AADSTS7000274 \
        env "${by_name[@]}" AZURE_TENANT_ID=11111111-2222-3333-4444-555555555555 \
        AZURE_CLIENT_ID=aaaaaaaa-0000-0000-0000-000000000001 AZURE_FEDERATED_TOKEN_FILE="$forged-azure" \
        "$python" "$clients/azure_token.py"

    forge vault.workload.identity "$forged-vault"
    refuses "strictness: Vault and a forged token" "failed to verify id token signature" \
        env TEST_VAULT_ROLE=net TFC_WORKLOAD_IDENTITY_TOKEN="$(cat "$forged-vault")" \
        "$python" "$clients/hvac_login.py"

    forge kubernetes.workload.identity "$forged-kubernetes"
    refuses "strictness: Kubernetes and a forged token" "the server has asked for the client to provide credentials" \
        kubectl --server "$(json_field kubernetes <"$TEST_PARTIES")" --certificate-authority "$TEST_CA" \
        --cache-dir "$folder/kube-cache" --token "$(cat "$forged-kubernetes")" get namespaces
}

# Writes a token for audience $1 to file $2 that is right but for its signature.
forge() {
    "$runmint" token --audience "$1" --output "$2"
    "$python" - "$2" <<'PYTHON'
import sys
from pathlib import Path

file = Path(sys.argv[1])
signed, _, signature = file.read_text().rpartition(".")
first = "B" if signature[0] == "A" else "A"
file.write_text(f"{signed}.{first}{signature[1:]}")
PYTHON
}
