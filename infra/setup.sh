#!/bin/sh
# Make the virtual environment from the lock file. Run by make, in the folder of the Makefile.
set -eu

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "facematch needs Python 3.11 or newer; none was found. Name one: make setup PYTHON=/path/to/python" >&2
    exit 1
}

python=$(find_python)
wanted=$("$python" -c 'import sys; print(sys.version_info[:2])')
if ! .venv/bin/python -c "import pip, sys; sys.exit(str(sys.version_info[:2]) != '$wanted')" >/dev/null 2>&1; then
    echo "Making .venv with $("$python" --version)"
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "$python cannot make virtual environments: install its venv module (on Debian: python3-venv)" >&2
        exit 1
    fi
fi
rm -f .venv/.ready .venv/.installed
echo "Installing the locked dependencies (about 2.3 GB on disk; a minute or more the first time)"
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
{
    pip install --require-hashes -r requirements.lock && touch .venv/.installed
} | grep -v '^Requirement already satisfied' || true
if [ ! -e .venv/.installed ]; then
    echo "The dependencies could not be installed; pip says above why. Mend that and call make again." >&2
    exit 1
fi
pip install --quiet --no-deps --no-build-isolation --editable .
pip check >/dev/null
echo "Fetching the photographs"
.venv/bin/python -m infra.photographs
touch .venv/.ready
