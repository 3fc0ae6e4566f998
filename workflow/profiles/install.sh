#!/bin/sh
# Copy the profiles to Snakemake's folder of profiles (`make profiles`) and insert the names of this cluster:
#   PARTITION      partition of all jobs; default: the default partition of the cluster
#   GPU_PARTITION  partition of trainings with slurm-gpu; default: the first partition with GPUs
#   ACCOUNT        account of the jobs; default: none, so that Slurm uses your default account
# Existing profiles are kept.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${XDG_CONFIG_HOME:-$HOME/.config}/snakemake
partitions=$(sinfo --noheader --format='%R %P %G' 2>/dev/null || true)
PARTITION=${PARTITION:-$(echo "$partitions" | awk '$2 ~ /\*$/ { print $1; exit }')}
GPU_PARTITION=${GPU_PARTITION:-$(echo "$partitions" | awk '$3 ~ /gpu/ && $2 !~ /\*$/ { print $1; exit }')}
GPU_PARTITION=${GPU_PARTITION:-$(echo "$partitions" | awk '$3 ~ /gpu/ { print $1; exit }')}

mkdir -p "$target"
for profile in "$here"/*/; do
    name=$(basename "$profile")
    if [ -e "$target/$name" ]; then
        echo "kept       $target/$name"
        continue
    fi
    cp -R "$profile" "$target/$name"
    file=$target/$name/config.v9+.yaml
    [ -z "$PARTITION" ] || sed -i "s/slurm_partition: cpu/slurm_partition: $PARTITION/" "$file"
    [ -z "$GPU_PARTITION" ] || sed -i "s/slurm_partition: gpu/slurm_partition: $GPU_PARTITION/" "$file"
    [ -z "${ACCOUNT:-}" ] || sed -i -e "s/# slurm_account: NAME/slurm_account: $ACCOUNT/" \
        -e "s/^  sbatch: \"''\"/  sbatch: \"'--account=$ACCOUNT'\"/" \
        -e "s/sbatch: \"'--exclusive'\"/sbatch: \"'--exclusive --account=$ACCOUNT'\"/" "$file"
    echo "installed  $target/$name"
done
[ -n "$PARTITION" ] || echo "There is no Slurm here: set slurm_partition in these files to a partition of your cluster."
