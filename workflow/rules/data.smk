# In:  a data set (MSD, nnU-Net or BIDS), or none
# Out: index/ (scans and exclusions), splits.json, preprocess/ (plan, arrays by shard), excluded.tsv
#
# Studies of time series have two separate rules: `spatial` transforms raw runs to a common space, and
# `preprocess_runs` cleans them. A change of the band-pass or of the clip length therefore repeats only the second.


rule phantom:
    """Generate the phantom data set."""
    input:
        spec=spec("index"),
    output:
        directory("results/{study}/data"),
    log:
        "results/{study}/logs/phantom.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} phantom --spec {input.spec:q} --output {output:q}"


# One job per shard reads the data set: the DAG grows with the number of shards, not with the number of participants.
rule index_shard:
    """Index one shard of the scans of a data set."""
    input:
        data_files,
        spec=spec("index"),
    output:
        temp(directory("results/{study}/index/shards/{shard}")),
    log:
        "results/{study}/logs/index/{shard}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        data=data_folder,
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log:q} index --spec {input.spec:q} --data {params.data:q}"
        " --shard {wildcards.shard:q} --shards {params.shards:q} --output {output:q}"


# For runs, the rule also writes sidecars.json.
rule index:
    """Join the shards of the index: scans, exclusions and facts of the data set."""
    input:
        parts=index_shards,
        spec=spec("index"),
    output:
        scans="results/{study}/index/scans.tsv",
        excluded="results/{study}/index/excluded.tsv",
        dataset="results/{study}/index/dataset.json",
    log:
        "results/{study}/logs/index.log",
    conda:
        ENVIRONMENT
    params:
        data=data_folder,
    shell:
        "python -m voxnas --log {log:q} index --spec {input.spec:q} --data {params.data:q} --parts {input.parts:q}"
        " --output results/{wildcards.study:q}/index"


rule split:
    """Split the participants into the locked test set and the folds."""
    input:
        rules.index.output,
        spec=spec("splits"),
    output:
        "results/{study}/splits.json",
    log:
        "results/{study}/logs/split.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} split --spec {input.spec:q} --index results/{wildcards.study:q}/index"
        " --output {output:q}"


rule spatial:
    """Run the spatial steps of fMRI preprocessing on one shard of raw runs."""
    input:
        rules.index.output,
        spec=spec("spatial"),
    output:
        directory("results/{study}/preprocess/spatial/{shard}"),
    log:
        "results/{study}/logs/spatial/{shard}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log:q} spatial --spec {input.spec:q} --index results/{wildcards.study:q}/index"
        " --shard {wildcards.shard:q} --shards {params.shards:q} --output {output:q}"


rule plan:
    """Choose spacing and patch from the fingerprint of the data."""
    input:
        rules.index.output,
        spatial=spatial_folders,
        spec=spec("preprocess"),
        splits=rules.split.output,
    output:
        "results/{study}/preprocess/plan.json",
    log:
        "results/{study}/logs/plan.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        spatial=spatial_option,
    shell:
        "python -m voxnas --log {log:q} plan --spec {input.spec:q} --index results/{wildcards.study:q}/index"
        " --splits {input.splits:q} {params.spatial:q} --output {output:q}"


rule preprocess:
    """Preprocess one shard of images."""
    input:
        rules.index.output,
        plan=rules.plan.output,
    output:
        arrays="results/{study}/preprocess/shards/{shard}.safetensors",
        records="results/{study}/preprocess/shards/{shard}.json",
    log:
        "results/{study}/logs/preprocess/{shard}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log:q} preprocess --plan {input.plan:q} --index results/{wildcards.study:q}/index"
        " --shard {wildcards.shard:q} --shards {params.shards:q} --output {output.arrays:q}"


rule exclude:
    """List the exclusions of all stages; stop the study if the runs that are left do not suffice."""
    input:
        rules.index.output,
        rules.split.output,
        rules.plan.output,
        preprocessed,
    output:
        "results/{study}/excluded.tsv",
    log:
        "results/{study}/logs/exclude.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} exclude --study results/{wildcards.study:q} --output {output:q}"


rule preprocess_runs:
    """Preprocess one shard of fMRI runs."""
    input:
        rules.index.output,
        plan=rules.plan.output,
        spatial=spatial_folders,
    output:
        directory("results/{study}/preprocess/shards/{shard}"),
    log:
        "results/{study}/logs/preprocess/{shard}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
        spatial=spatial_option,
    shell:
        "python -m voxnas --log {log:q} preprocess --plan {input.plan:q} --index results/{wildcards.study:q}/index"
        " --shard {wildcards.shard:q} --shards {params.shards:q} {params.spatial:q} --output {output:q}"
