#!/bin/bash
# properties = {properties}
# The submitted script. Slurm sends SIGUSR1 to this script only, which forwards it to all processes of the job.
trap '' USR1
{{
{exec_job}
}} &
trap 'trap "" USR1; kill -USR1 0' USR1
until wait $!; status=$?; [ $status -le 128 ] || ! kill -0 $! 2>/dev/null; do :; done
exit $status
