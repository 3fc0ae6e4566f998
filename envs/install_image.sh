#!/bin/sh
# What both container recipes run as root in a bare Debian (12 or later) or Ubuntu (24.04 or later), with the project in
# the folder above:  envs/install_image.sh VENV
#
# Leaves Python, the locked environment with the build of torch that TORCH names, and Horovod; compilers and caches go.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 VOXNAS_WHEELS=/tmp/wheels

kept="python3 python3-venv ca-certificates $(apt-mark showmanual)"
apt-get update -qq
apt-get install -qq --no-install-recommends python3 python3-venv ca-certificates g++ make cmake python3-dev >/dev/null

"$here/install.sh" "$1" python3
"$1/bin/python" -m compileall -q "$(dirname "$here")/src"

apt-mark auto '.*' >/dev/null
# shellcheck disable=SC2086 # a list of packages
apt-mark manual $kept >/dev/null
apt-get purge -qq --auto-remove >/dev/null
rm -rf /var/lib/apt/lists/* "$VOXNAS_WHEELS"
