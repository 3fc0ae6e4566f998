# In:  trained networks, and the locked test split
# Out: leaderboard.tsv and comparisons.tsv
#
# `evaluate` is the only rule that reads the locked test split; each read is recorded in results/ledger/.


rule profile:
    """Measure the latency and memory of a network."""
    input:
        network=f"{NETWORK}/network.json",
        plan="results/{study}/preprocess/plan.json",
        train=spec("train"),
        spec=spec("profile"),
    output:
        f"{NETWORK}/profile.json",
    log:
        "results/{study}/logs/profile/{key}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: all_cores
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
    shell:
        "python -m voxnas --log {log:q} profile --study results/{wildcards.study:q} --key {wildcards.key:q}"
        " --output {output:q}"


rule evaluate:
    """Score a network on the locked test split."""
    input:
        arrays,
        weights,
        network=f"{NETWORK}/network.json",
        spec=spec("evaluate"),
    output:
        cases="results/{study}/evaluation/{key}/cases.tsv",
        predictions=directory("results/{study}/evaluation/{key}/predictions"),
    log:
        "results/{study}/logs/evaluate/{key}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        seeds=lambda w: settings_of(w).training.seeds,
    shell:
        "python -m voxnas --log {log:q} evaluate --study results/{wildcards.study:q} --key {wildcards.key:q}"
        " --seeds {params.seeds:q} --output {output.cases:q}"


rule benchmark:
    """Write the leaderboard and the paired comparisons."""
    input:
        measured_networks,
        published_scores,
        trainings="results/{study}/networks.tsv",
        spec=spec("benchmark"),
    output:
        leaderboard=report(
            "results/{study}/leaderboard.tsv",
            category="{study}",
            labels={"table": "leaderboard"},
            caption="../report/leaderboard.rst",
        ),
        comparisons=report(
            "results/{study}/comparisons.tsv",
            category="{study}",
            labels={"table": "comparisons"},
            caption="../report/comparisons.rst",
        ),
    log:
        "results/{study}/logs/benchmark.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} benchmark --study results/{wildcards.study:q}"
        " --output {output.leaderboard:q} --comparisons {output.comparisons:q}"


rule crossvalidate_network:
    """Score a network on the folds, each by the training that left it out."""
    input:
        arrays,
        weights,
        network=f"{NETWORK}/network.json",
        spec=spec("evaluate"),
    output:
        "results/{study}/evaluation/{key}/folds.tsv",
    log:
        "results/{study}/logs/crossvalidate/{key}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        seeds=lambda w: settings_of(w).training.seeds,
    shell:
        "python -m voxnas --log {log:q} crossvalidate --study results/{wildcards.study:q} --key {wildcards.key:q}"
        " --seeds {params.seeds:q} --output {output:q}"


rule crossvalidate:
    """Write the table of the cross-validation."""
    input:
        predicted_folds,
        trainings="results/{study}/networks.tsv",
        spec=spec("benchmark"),
    output:
        report(
            "results/{study}/cross_validation.tsv",
            category="{study}",
            labels={"table": "cross-validation"},
            caption="../report/cross_validation.rst",
        ),
    log:
        "results/{study}/logs/crossvalidate.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} crossvalidate --study results/{wildcards.study:q} --output {output:q}"
