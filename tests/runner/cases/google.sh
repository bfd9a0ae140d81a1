# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# Google Cloud: google-auth with all three sources of an external account.

part_google() {
    local provider=projects/1234567890/locations/global/workloadIdentityPools/runs/providers
    local account=net@acme.iam.gserviceaccount.com
    local net=(
        "${by_name[@]}" TFC_GCP_PROVIDER_AUTH=true TFC_GCP_WORKLOAD_PROVIDER_NAME="$provider/runmint"
        TFC_GCP_RUN_SERVICE_ACCOUNT_EMAIL="$account"
    )
    local buckets=("$python" "$clients/google_buckets.py")

    is "google: a file source, as a service account" net-state under "${net[@]}" -- "${buckets[@]}"
    is "google: the renewed file" net-state \
        under "${net[@]}" -- "${buckets[@]}" --renewed "$folder/exec/tfc-gcp-token"
    is "google: a file source, as a member of the pool" net-state \
        under "${by_name[@]}" TFC_GCP_PROVIDER_AUTH=true TFC_GCP_PRINCIPAL_TYPE=workload_pool \
        TFC_GCP_PROJECT_NUMBER=1234567890 TFC_GCP_WORKLOAD_POOL_ID=runs \
        TFC_GCP_WORKLOAD_PROVIDER_ID=runmint -- "${buckets[@]}"

    local audience="//iam.googleapis.com/$provider/runmint"
    external_account "$folder/by-url.json" "$audience" '{
        "url": "'"$RUNMINT_REQUEST_URL&audience=$audience"'",
        "headers": {"Authorization": "Bearer '"$RUNMINT_REQUEST_TOKEN"'"},
        "format": {"type": "json", "subject_token_field_name": "value"}
    }'
    is "google: a URL source" net-state \
        env "${by_name[@]}" GOOGLE_APPLICATION_CREDENTIALS="$folder/by-url.json" "${buckets[@]}"

    external_account "$folder/by-program.json" "$audience" '{"executable": {
        "command": "'"$runmint"' token --audience '"$audience"' --format gcp-executable"
    }}'
    local by_program=(
        "${by_name[@]}" GOOGLE_APPLICATION_CREDENTIALS="$folder/by-program.json"
        GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1
    )
    is "google: an executable source" net-state env "${by_program[@]}" "${buckets[@]}"
    refuses "google: an executable source that is refused says why" "401" \
        env "${by_program[@]}" RUNMINT_REQUEST_TOKEN=rmr_0 "${buckets[@]}"

    refuses "google: a provider that trusts another workspace" \
        "The given credential is rejected by the attribute condition." \
        under "${net[@]}" TFC_GCP_WORKLOAD_PROVIDER_NAME="$provider/other" -- "${buckets[@]}"
    refuses "google: a token for somebody else" \
        "The audience in ID Token [somebody.else] does not match the expected audience" \
        under "${net[@]}" TFC_GCP_WORKLOAD_IDENTITY_AUDIENCE=somebody.else -- "${buckets[@]}"
}

# Writes external account $1 for audience $2 with credential source $3.
external_account() {
    cat >"$1" <<JSON
{
    "type": "external_account",
    "audience": "$2",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/net@acme.iam.gserviceaccount.com:generateAccessToken",
    "credential_source": $3
}
JSON
}
