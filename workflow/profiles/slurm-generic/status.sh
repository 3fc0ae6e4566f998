#!/bin/bash
# status.sh JOB: prints running, success or failed. If squeue no longer knows the job, sacct is used. The script waits
# up to an hour for an unavailable controller, because an error would end the workflow.
for ((n = 0; n < 720; n++)); do
    if state=$(timeout 20 squeue --noheader --states=all --job "$1" --format=%T 2>&1); then
        :
    elif [[ $state == *"Invalid job id"* ]]; then
        state=$(timeout 20 sacct -X --noheader --parsable2 --jobs "$1" --format=State 2>/dev/null | head -n 1)
        [ -n "$state" ] || state=FAILED
    else
        sleep 5
        continue
    fi
    case ${state%% *} in
    COMPLETED) echo success ;;
    # A preempted job is PENDING if Slurm requeues it, and remains PREEMPTED otherwise.
    FAILED | CANCELLED | TIMEOUT | NODE_FAIL | OUT_OF_MEMORY | BOOT_FAIL | DEADLINE | REVOKED | PREEMPTED) echo failed ;;
    *) echo running ;;
    esac
    exit 0
done
echo failed
