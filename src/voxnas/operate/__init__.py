"""Operation of a running study: progress, placement of jobs, resumption, replay."""
