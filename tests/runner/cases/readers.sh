# shellcheck shell=bash
# shellcheck disable=SC2154 # ../run sets what all parts share
# A reader that is not root, as in a container with `runAsNonRoot`: what it is told, and that it helps.

part_readers() {
    if [ "$(id -u)" -ne 0 ] || ! have setpriv; then
        echo "        only root can write files for others (and \`setpriv\` is needed): passed over"
        return
    fi
    # mktemp's folder is for nobody else; this one must let the reader through.
    chmod 711 "$folder"
    local shared="$folder/shared" file="$folder/shared/token"
    install -d -m 755 "$shared"
    local ask=("$runmint" token --audience aws.workload.identity --output "$file")
    local as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

    try "readers: a token for root" "${ask[@]}"
    is "readers: is root's alone" "600 0" stat --format "%a %u" "$file"
    refuses "readers: nobody else can read it" "Permission denied" "${as_nobody[@]}" cat "$file"
    refuses "readers: and that is said beforehand, with what helps" "--owner 65534" \
        "${ask[@]}" --reader 65534
    try "readers: so it is done" "${ask[@]}" --reader 65534 --owner 65534
    try "readers: and the reader reads" "${as_nobody[@]}" test -r "$file" -a -s "$file"
    is "readers: nobody else does" "600 65534" stat --format "%a %u" "$file"
}
