#!/bin/sh
# Install the locked environment:  envs/install.sh VENV [PYTHON]   what runs Voxnas, from requirements.txt
#                                  envs/install.sh --dev VENV      what its developers need on top
#
# Can be repeated at any time: what is there already is kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off

start=$(date +%s)
say() { echo "environment [$(($(date +%s) - start)) s]: $1"; }

if [ "$1" = --dev ]; then
    pip="$2/bin/python -m pip"
    say "developers' tools"
    $pip install -q --no-deps -r "$here/requirements-dev.txt"
    $pip check
    say "ready"
    exit
fi

venv=$1 python=${2:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Voxnas needs Python 3.11 or later; choose one by: make PYTHON=/path/to/python3" >&2
    exit 1
}
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip"

# With its dependencies, because they differ by machine: pip's settings decide between a wheel for CPU and one for CUDA.
torch=$(grep '^torch==' "$here/requirements.txt")
say "$torch"
$pip install -q -c "$here/requirements.txt" "$torch"
say "locked requirements"
$pip install -q --no-deps -r "$here/requirements.txt"
say "voxnas"
$pip install -q --no-deps --no-build-isolation -e "$root"
say "Horovod"
if ! "$here/build_horovod.sh" "$venv/bin/python"; then
    echo "Horovod could not be built (it needs g++, make and cmake): the launcher 'horovod' is off, all else works." >&2
    [ "${CI:-}" != true ] || exit 1
fi
$pip check
say "ready"
