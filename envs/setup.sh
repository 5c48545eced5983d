#!/usr/bin/env bash
# Make .venv from envs/requirements.lock where it is missing or stale; done in no time where it is not.
# PYTHON=... chooses the Python; otherwise the first of python3, python3.12, python3.11 that will do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX

least_disk=${SHANSHUI_LEAST_DISK_GB:-6}
stamp=.venv/made-from # digest of what it was made from, and where
digest=$(cat envs/requirements.lock envs/uv.txt pyproject.toml | sha256sum | cut -d ' ' -f 1)

stop() {
    echo "setup: $1" >&2
    echo "       to do: $2" >&2
    exit 1
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

fresh() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest $PWD" ] || return 1
    local version
    version=$(version_of .venv/bin/python)
    [ -n "$version" ] || return 1
    [ -z "${PYTHON:-}" ] || [ "$version" = "$(version_of "$PYTHON")" ]
}

choose_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} $([ -n "${PYTHON:-}" ] || echo python3 python3.12 python3.11); do
        case $(version_of "$candidate") in
        3.11 | 3.12)
            echo "$candidate"
            return
            ;;
        esac
    done
    local found=${PYTHON:-python3}
    stop "Python 3.11 or 3.12 is needed, $found is $("$found" --version 2>/dev/null || echo missing)" \
        "apt-get install python3 python3-venv python3-dev, or name one: make PYTHON=/path/to/python3.11"
}

check_machine() {
    local version free
    version=$(version_of "$1")
    "$1" -c 'import ensurepip, venv' 2>/dev/null ||
        stop "$1 cannot make virtual environments" "apt-get install python$version-venv"
    command -v "${cc_path:-g++}" >/dev/null ||
        stop "no C++ compiler: g++ is not on the PATH" "apt-get install g++    (Fedora: dnf install gcc-c++)"
    "$1" -c 'import os, sys, sysconfig as s; sys.exit(not any(os.path.isfile(d + "/Python.h") for d in
(s.get_path("include"), "/usr/include/python" + s.get_python_version())))' ||
        stop "the headers of Python $version (Python.h) are missing" \
            "apt-get install python$version-dev    (Fedora: dnf install python3-devel)"
    free=$(($(df -Pk . | awk 'NR == 2 { print $4 }') / 1048576))
    [ "$free" -ge "$least_disk" ] ||
        stop "only $free GB of disk are free here, $least_disk are needed" "free some space, or clone to another disk"
}

fresh && exit 0
python=$(choose_python)
check_machine "$python"

# What was made elsewhere, by another Python, or only half, is made anew; the rest is brought up to date in place.
made_at=$(cut -s -d ' ' -f 2- "$stamp" 2>/dev/null || true)
if [ "${made_at:-$PWD}" != "$PWD" ] || [ "$(version_of .venv/bin/python)" != "$(version_of "$python")" ] ||
    ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    echo "setup: making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
rm -f "$stamp"
echo "setup: installing $(grep -c '^[a-z0-9].*==' envs/requirements.lock) packages into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/uv.txt ||
    stop "uv could not be installed" "check the network, or pip's settings (pip config list)"
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes envs/requirements.lock ||
    stop "the packages of envs/requirements.lock could not be installed" "check the network, then run the same again"
.venv/bin/uv pip install --quiet --python .venv/bin/python --offline --no-deps --no-build-isolation --editable .
echo "$digest $PWD" >"$stamp"
