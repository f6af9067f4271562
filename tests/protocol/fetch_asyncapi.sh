#!/bin/sh
# Fetches the official JSON Schema of AsyncAPI 3.0, which one test holds /asyncapi.json against, into the file $1.
# It comes from the npm package of the AsyncAPI project; without npm that test is skipped.
set -eu
version=6.11.1
wanted=A3WBLqAKGoJ2+6FWFtpjBlCQ1oFCcs4GxF7zsIGvNqp/klGUHjlA3aAcZ9XMMpLGE8zPeYDz2x9FmO6DSuKraQ==

target=$1
if ! command -v npm >/dev/null; then
    echo 'npm is not here: the test of /asyncapi.json against its official schema will be skipped' >&2
    exit 0
fi
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
(cd "$place" && npm pack --silent "@asyncapi/specs@$version" >/dev/null) || {
    echo 'npm could not fetch @asyncapi/specs: the test of /asyncapi.json against it will be skipped' >&2
    exit 0
}
got=$(openssl dgst -sha512 -binary "$place"/*.tgz | openssl base64 -A)
[ "$got" = "$wanted" ] || { echo "@asyncapi/specs $version is not what it was" >&2; exit 1; }
tar -xzOf "$place"/*.tgz package/schemas/3.0.0.json > "$target"
