# In:  the results of all searches
# Out: networks/<key>/seed-<s>/: the finalists and the hand-made networks at full budget
#
# `select`, `derive` and `prune` (compress.smk) are the only checkpoints. Networks are addressed by their key, never by rank, so that a new
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
        "python -m voxnas --log {log:q} select --study results/{wildcards.study:q} --searches={params.searches:q}"
        " --direct={params.direct:q} --output {output:q}"


rule network:
    """Write the record of one finalist or baseline."""
    input:
        record_of,
    output:
        f"{NETWORK}/network.json",
    log:
        "results/{study}/logs/network/{key}.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} network --networks {input:q} --key {wildcards.key:q} --output {output:q}"


rule train:
    """Train one seed of a finalist or baseline at full budget."""
    input:
        arrays,
        calibration,
        teachers,
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
        "python -m voxnas --log {log:q} train --study results/{wildcards.study:q} --network {input.network:q}"
        " --seed {wildcards.seed:q} --output {output.result:q}"
        " --launcher {resources.launcher:q} --processes {resources.processes:q}"
        " --nodes {resources.nodes:q} --kind {resources.kind:q} --tensorboard {resources.tensorboard:q}"
        " --options={resources.training:q}"


checkpoint derive:
    """Derive networks from the winner, to be trained on all scans outside the test split."""
    input:
        trained_finalists,
        finalists="results/{study}/finalists.json",
        benchmark=spec("benchmark"),
        spec=spec("derive"),
    output:
        "results/{study}/derived.json",
    log:
        "results/{study}/logs/derive.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} derive --study results/{wildcards.study:q} --output {output:q}"


rule trainings:
    """Write the table of all trainings at full budget."""
    input:
        trained_networks,
        spec=spec("benchmark"),
    output:
        "results/{study}/networks.tsv",
    log:
        "results/{study}/logs/trainings.log",
    conda:
        ENVIRONMENT
    params:
        seeds=lambda w: settings_of(w).training.seeds,
    shell:
        "python -m voxnas --log {log:q} trainings --study results/{wildcards.study:q} --seeds {params.seeds:q}"
        " --output {output:q}"
