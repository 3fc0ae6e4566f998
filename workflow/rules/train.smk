# In:  the results of all searches
# Out: networks/<key>/seed-<s>/: the finalists and the hand-made networks at full budget
#
# `select` is the only checkpoint. Networks are addressed by their key, never by rank, so that a new
# selection trains only the new networks.


checkpoint select:
    """Choose the finalists among the trials of all searches."""
    input:
        calibration,
        plan="results/{study}/preprocess/plan.json",
        tables=searched_tables,
        spec=spec("select"),
    output:
        "results/{study}/finalists.json",
    log:
        "results/{study}/logs/select.log",
    conda:
        ENVIRONMENT
    params:
        searches=lambda w: ",".join(n if k is None else f"{n}={k}" for n, k in searches_of(settings_of(w)).items()),
        direct=lambda w: ",".join(direct_baselines(settings_of(w))),
    shell:
        "python -m voxnas --log {log} select --study results/{wildcards.study} --searches={params.searches:q}"
        " --direct={params.direct:q} --output {output}"


rule network:
    """Write the record of one finalist or baseline."""
    input:
        "results/{study}/finalists.json",
    output:
        f"{NETWORK}/network.json",
    log:
        "results/{study}/logs/network/{key}.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log} network --finalists {input} --key {wildcards.key} --output {output}"


rule train:
    """Train one seed of a finalist or baseline at full budget."""
    input:
        arrays,
        calibration,
        network=f"{NETWORK}/network.json",
        spec=spec("train"),
    output:
        result=f"{NETWORK}/seed-{{seed}}/result.json",
        run=f"{NETWORK}/seed-{{seed}}/run.json",
        curve=f"{NETWORK}/seed-{{seed}}/curve.tsv",
        weights=f"{NETWORK}/seed-{{seed}}/weights.safetensors",
    log:
        "results/{study}/logs/train/{key}/seed-{seed}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: lambda w: settings_of(w).training.threads
    resources:
        **PLACED,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 120 * attempt,
        launcher="single",
        processes=1,
        nodes=1,
        training="",
        tensorboard=lambda w: int(settings_of(w).training.tensorboard),
    shell:
        "python -m voxnas --log {log} train --study results/{wildcards.study} --network {input.network}"
        " --seed {wildcards.seed} --output {output.result}"
        " --launcher {resources.launcher} --processes {resources.processes}"
        " --nodes {resources.nodes} --kind {resources.kind} --tensorboard {resources.tensorboard} {resources.training}"


rule trainings:
    """Write the table of all trainings at full budget."""
    input:
        trained_networks,
    output:
        "results/{study}/networks.tsv",
    log:
        "results/{study}/logs/trainings.log",
    conda:
        ENVIRONMENT
    params:
        seeds=lambda w: settings_of(w).training.seeds,
    shell:
        "python -m voxnas --log {log} trainings --study results/{wildcards.study} --seeds {params.seeds}"
        " --output {output}"
