#!/bin/bash
# properties = {properties}
# What is submitted. Slurm sends its warning (SIGUSR1) to this script alone, which hands it on to the whole job.
trap '' USR1
{{
{exec_job}
}} &
trap 'trap "" USR1; kill -USR1 0' USR1
until wait $!; status=$?; [ $status -le 128 ] || ! kill -0 $! 2>/dev/null; do :; done
exit $status
