#!/bin/sh
# Builds the whole program, dependencies included, as one executable file.
# usage: build.sh PYTHON WHEELS OUTPUT     run at the project's root; WHEELS has the wheels of requirements.lock
set -eu
umask 022 # file modes are part of the result
python=$1 wheels=$2 output=$3
pip="$python -m pip --disable-pip-version-check --quiet"

# setuptools would pack what an earlier build left in build/lib.
rm -rf build && mkdir -p build "$(dirname "$output")"
$pip wheel --no-deps --no-build-isolation --wheel-dir build/wheel .
$pip install --no-deps --no-index --no-compile --target build/site \
    --find-links "$wheels" -r requirements.lock build/wheel/*.whl

# What names this machine is left out (scripts' first lines, and their checksums in RECORD), so that the same
# sources give the same file wherever it is built.
rm -rf build/site/bin build/site/share
find build/site -path '*.dist-info/*' \( -name RECORD -o -name direct_url.json -o -name REQUESTED \) -delete

$python -c '
import os, sys
print(f"BUILT_FOR = {(*sys.version_info[:2], os.uname().machine)}")
' | cat - onefile/check_python.py > build/check_python.py
$python -W ignore onefile/pack.py --reproducible --python '/usr/bin/env python3' --console-script sticky-overseer \
    --preamble build/check_python.py --site-packages build/site --output-file "$output.new"
mv "$output.new" "$output"
echo "built $output ($(wc -c < "$output" | tr -d ' ') bytes)"
