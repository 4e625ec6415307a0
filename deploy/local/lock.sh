#!/bin/sh
# Writes requirements/*.txt: exact versions for every supported Python and platform.
# Usage: deploy/local/lock.sh [--upgrade]   (without it, versions stay where they still fit)
set -eu
cd "$(dirname "$0")/../.."
. deploy/local/uv.sh

uv=$(find_uv) || fail "Run 'make setup' first: it installs uv."

compile() { # compile NAME ARGUMENTS...: requirements/NAME.txt from what ARGUMENTS name
    name=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
        --output-file "requirements/$name.txt" "$@"
    sed -i '1i # Exact versions. Written by "make lock"; edit the ranges in pyproject.toml instead.' \
        "requirements/$name.txt"
    say "requirements/$name.txt: $(grep -c '==' "requirements/$name.txt") packages"
}

services="--extra api --extra audio --extra espeak --extra local"
# shellcheck disable=SC2086
compile dev "$@" $services --extra dev pyproject.toml requirements/build.in
# The same versions as dev: what was tested is what runs.
# shellcheck disable=SC2086
compile local "$@" $services --constraint requirements/dev.txt pyproject.toml requirements/build.in
compile swift "$@" requirements/swift.in
compile chatterbox "$@" --override requirements/chatterbox-overrides.txt \
    --constraint requirements/dev.txt requirements/chatterbox.in
# Which build of torch, and what that needs of CUDA, is the choice of the machine that installs.
kept=$(grep -v -E "sys_platform == 'never'|^(torch|triton|(nvidia|cuda)-[a-z0-9-]+)==" \
    requirements/chatterbox.txt)
printf '%s\n%s\n' "$kept" "$(grep '^torch==' requirements/chatterbox.in)" >requirements/chatterbox.txt
