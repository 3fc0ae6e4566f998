#!/bin/sh
# Install Horovod for the torch of a Python environment:  envs/build_horovod.sh PYTHON
#
# The wheel is built once and kept in $VOXNAS_WHEELS (default: .wheels in the checkout), in a folder named after the
# Python, torch and platform that it fits; every later installation takes seconds. Needs g++ (9 or later) and make,
# and takes cmake from pip where there is none. Horovod's own variables say what else goes in beside Gloo:
# HOROVOD_WITH_MPI=1 (needs mpicxx), HOROVOD_GPU_OPERATIONS=NCCL (needs CUDA's toolkit).
set -eu
python=$(command -v "$1")
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
here=$(cd "$(dirname "$0")" && pwd)
requirement=$(grep -v '^#' "$here/horovod.txt")
tag=$("$python" -c 'import sys, sysconfig, torch
print("cp%d%d-torch%s-%s" % (*sys.version_info[:2], torch.__version__, sysconfig.get_platform()))')
if [ "${HOROVOD_WITH_MPI:-}" = 1 ]; then tag=$tag-mpi; else export HOROVOD_WITHOUT_MPI=1; fi
wheels=${VOXNAS_WHEELS:-$(dirname "$here")/.wheels}/$tag
mkdir -p "$wheels"

# --force-reinstall: a Horovod that is there already may have been built for another torch.
install() {
    "$python" -m pip install -q --no-index --no-deps --force-reinstall --find-links "$wheels" "$requirement" 2>/dev/null
}

if ! install; then
    log=$wheels/build.log
    echo "Building $requirement for $tag: one to four minutes, once (log: $log)"
    command -v cmake >/dev/null || "$python" -m pip install -q "cmake==4.4.4"
    scratch=$(mktemp -d "$wheels/build.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    trap 'exit 130' INT TERM
    # --no-cache-dir: pip's own wheel cache knows neither the torch version nor these settings.
    # CMAKE_POLICY_VERSION_MINIMUM: cmake 4 refuses the version that the bundled gloo asks for.
    if ! env HOROVOD_WITH_PYTORCH=1 HOROVOD_WITH_GLOO=1 \
        HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1 \
        CXX="$here/g++17" LDFLAGS=-s MAKEFLAGS="-j$(getconf _NPROCESSORS_ONLN)" CMAKE_POLICY_VERSION_MINIMUM=3.5 \
        PATH="$(dirname "$python"):$PATH" \
        "$python" -m pip wheel --no-deps --no-build-isolation --no-cache-dir --no-binary=horovod \
        -w "$scratch" "$requirement" >"$log" 2>&1; then
        [ "${CI:-}" != true ] || tail -n 40 "$log" >&2
        exit 1
    fi
    mv "$scratch"/horovod-*.whl "$wheels"/
    install
fi
"$python" -c 'import sys, horovod.torch as hvd; sys.exit(0 if hvd.gloo_built() else "Horovod was built without gloo")'
