# Sourced by the shell scripts here: messages, and where uv gets its packages from.
# shellcheck shell=sh

say() { printf '%s\n' "$*"; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

find_uv() { # prints the uv to use; fails where there is none yet
    if command -v uv 2>/dev/null; then
        return 0
    fi
    [ -x .venv/bin/uv ] && printf '%s\n' "$PWD/.venv/bin/uv"
}

# uv does not read pip's variables: what a machine sets for pip counts here too.
if [ -n "${PIP_INDEX_URL:-}" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    export UV_DEFAULT_INDEX="$PIP_INDEX_URL"
fi
if [ -n "${PIP_EXTRA_INDEX_URL:-}" ] && [ -z "${UV_INDEX:-}" ]; then
    export UV_INDEX="$PIP_EXTRA_INDEX_URL"
fi
if [ -n "${PIP_FIND_LINKS:-}" ] && [ -z "${UV_FIND_LINKS:-}" ]; then
    UV_FIND_LINKS=$(printf '%s' "$PIP_FIND_LINKS" | tr -s ' ' ',')
    export UV_FIND_LINKS
fi
if [ -n "${PIP_CERT:-}" ] && [ -z "${SSL_CERT_FILE:-}" ]; then
    export SSL_CERT_FILE="$PIP_CERT"
fi
export UV_PYTHON_DOWNLOADS=never
