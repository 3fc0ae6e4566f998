#!/bin/sh
# Install the locked environment:  envs/install.sh VENV [PYTHON]   what runs Voxnas, from requirements.txt
#                                  envs/install.sh --dev VENV      what its developers need on top
#                                  envs/install.sh --deploy VENV   ONNX Runtime and OpenVINO (97 MB)
#                                  envs/install.sh --export VENV   Optuna and pyarrow (60 MB)
#                                  envs/install.sh --docs VENV     the builder of the documentation (20 MB)
#
# TORCH names a build of torch on PyTorch's own index (cpu, cu126, ...), which replaces another build. Without TORCH, the
# build that is there is kept, and a new environment gets what pip's settings give: on Linux without any, a CUDA build.
# Can be repeated at any time: what is there already is kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PROGRESS_BAR=off

start=$(date +%s)
say() { echo "environment [$(($(date +%s) - start)) s]: $1"; }

case $1 in
--dev | --deploy | --export | --docs)
    pip="$2/bin/python -m pip"
    say "requirements${1#-}"
    $pip install -q --no-deps -r "$here/requirements${1#-}.txt"
    $pip check
    say "ready"
    exit
    ;;
esac

venv=$1 python=${2:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Voxnas needs Python 3.11 or later; choose one by: make PYTHON=/path/to/python3" >&2
    exit 1
}
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
pip="$venv/bin/python -m pip"

torch=$(grep '^torch==' "$here/requirements.txt")
wanted=$torch${TORCH:++$TORCH}
found=torch==$("$venv/bin/python" -c 'import torch; print(torch.__version__)' 2>/dev/null || true)
case $found in
"$wanted" | "$wanted"+*) say "$found is there" ;;
*)
    say "$wanted"
    # The libraries of CUDA go with the old build, and so do the stamps of the Makefile, which name builds.
    old=$($pip list --format freeze | sed -nE 's/^(torch|triton|nvidia-.*|cuda-.*)==.*/\1/p')
    # shellcheck disable=SC2086 # a list of packages
    [ -z "$old" ] || $pip uninstall -q -y $old
    rm -f "$venv"/.installed*
    [ -z "${TORCH:-}" ] ||
        $pip install -q --no-deps --index-url "https://download.pytorch.org/whl/$TORCH" "$wanted"
    # With torch's dependencies, which differ by build.
    $pip install -q -c "$here/requirements.txt" "$torch"
    ;;
esac
say "locked requirements"
$pip install -q --no-deps -r "$here/requirements.txt"
say "voxnas"
$pip install -q --no-deps --no-build-isolation -e "$root"
say "Horovod"
"$venv/bin/python" "$here/build_horovod.py" || [ "${CI:-}" != true ] || exit 1
$pip check
say "ready"
