#!/bin/sh
# Build and test the image of envs/apptainer.def without a container engine:  tests/containers/build.sh [FOLDER]
#
# As root: debootstrap creates a minimal Debian tree in FOLDER (3 GB; default: a temporary folder, removed at the end).
# The recipe's files are copied and its %post and %test run in the tree; then, as an ordinary user, two processes of
# Horovod and the smallest study. Finally a Snakemake outside the tree runs jobs in it by
# --software-deployment-method apptainer, with tests/containers/apptainer as the engine. The variable SNAKEMAKE gives the
# path of this Snakemake; the default is the one on PATH.
#
# pip's settings are passed on (PIP_INDEX_URL, PIP_FIND_LINKS, PIP_CERT, ...; the files and folders they name are
# mounted). MIRROR and SUITE select the Debian: http://deb.debian.org/debian bookworm.
set -eu
cd "$(dirname "$0")/../.."
project=$PWD recipe=$PWD/envs/apptainer.def
if [ "${VOXNAS_MOUNTS:-}" != private ]; then
    [ "$(id -u)" = 0 ] || { echo "tests/containers/build.sh must run as root: debootstrap, mount and chroot" >&2; exit 2; }
    command -v debootstrap >/dev/null || { echo "debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }
    # A private mount namespace, which ends with this script.
    VOXNAS_MOUNTS=private exec unshare --mount --propagation private "$0" "$@"
fi

begun=$(date +%s)
say() { echo "container [$(($(date +%s) - begun)) s]: $1"; }
section() { awk -v name="%$1" '/^%/ { on = ($1 == name); next } on && NF' "$recipe"; }
enter() { chroot "$@"; }

if [ $# -gt 0 ]; then
    mkdir -p "$1" && tree=$(cd "$1" && pwd)/tree
else
    folder=$(mktemp -d) && tree=$folder/tree
    trap 'umount -R "$tree/dev" "$tree/proc" 2>/dev/null; rm -rf --one-file-system "$folder"' EXIT
    trap 'exit 130' INT TERM
fi

say "debootstrap"
debootstrap --variant=minbase "${SUITE:-bookworm}" "$tree" "${MIRROR:-http://deb.debian.org/debian}" >/dev/null
cp /etc/resolv.conf /etc/hosts "$tree/etc/" # as engines do; without hosts, Horovod reaches localhost by ssh
mount -t proc proc "$tree/proc"
mount --rbind /dev "$tree/dev"

# Pass on pip's settings only, so that the environment is an engine's.
settings=
for variable in $(env | sed -n 's/^\(PIP_[A-Z_]*\)=.*/\1/p'); do
    eval "value=\$$variable"
    if [ -e "$value" ]; then
        mkdir -p "$tree/host$(dirname "$value")"
        [ -d "$value" ] && mkdir -p "$tree/host$value" || : >"$tree/host$value"
        mount --bind "$value" "$tree/host$value"
        value=/host$value
    fi
    settings="$settings $variable=$value"
done
clean="env -i PATH=/opt/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8"

say "the recipe's files and %post"
section files | while read -r from to; do
    mkdir -p "$(dirname "$tree$to")"
    cp -R "$project/$from" "$tree$to"
done
find "$tree/opt/voxnas" -name __pycache__ -prune -exec rm -rf {} +
post=$(section post | sed 's/{{ TORCH }}/cpu/')
# shellcheck disable=SC2086 # lists of words
enter "$tree" $clean $settings sh -euc "$post"

say "%test"
# shellcheck disable=SC2086
enter "$tree" $clean sh -euc "$(section test)"

say "two processes of Horovod, as an ordinary user"
echo "user:x:1000:1000::/study:/bin/sh" >>"$tree/etc/passwd" # an engine adds its user
mkdir -p "$tree/study" && chown 1000:1000 "$tree/study"
user="--userspec=1000:1000 $tree env -i PATH=/opt/venv/bin:/usr/bin:/bin HOME=/study LANG=C.UTF-8 OMP_NUM_THREADS=1"
# shellcheck disable=SC2086
enter $user horovodrun -np 2 -H localhost:2 --gloo python -c '
import horovod.torch as hvd, torch
hvd.init()
total = hvd.allreduce(torch.tensor([1.0 + hvd.rank()]), op=hvd.Sum)
assert hvd.size() == 2 and total.item() == 3.0
print("rank", hvd.rank(), "sum", total.item())'

say "the smallest study"
# shellcheck disable=SC2086
enter $user sh -euc 'cd /study && snakemake --snakefile /opt/voxnas/Snakefile \
    --configfile /opt/voxnas/config/test/tiny.yaml --cores 2 --quiet rules && voxnas watch tiny'
[ -s "$tree/study/results/tiny/report.html" ]

say "jobs of a Snakemake outside the tree"
outside=$(mktemp -d)
(
    cd "$outside"
    PATH=$project/tests/containers:$PATH "${SNAKEMAKE:-snakemake}" --snakefile "$project/Snakefile" \
        --configfile "$project/config/test/tiny.yaml" --config container="$tree" --cores 2 --quiet rules \
        --software-deployment-method apptainer --until preprocess
    [ -s results/tiny/preprocess/shards/1.json ]
)
rm -rf "$outside"
say "done, $(du -sh --one-file-system "$tree" | cut -f1)"
