#!/bin/sh
# Debian's packages of Slurm, munge and the accounting database for the test cluster; as root. Nothing is started.
set -eu
export DEBIAN_FRONTEND=noninteractive
guard=/usr/sbin/policy-rc.d # what keeps the packages' scripts from starting daemons of the system's
if [ ! -e $guard ]; then
    printf '#!/bin/sh\nexit 101\n' >$guard
    chmod +x $guard
    trap 'rm -f $guard' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge slurmdbd mariadb-server
slurmd -V
