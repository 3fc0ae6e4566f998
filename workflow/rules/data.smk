# In:  a data set (MSD, nnU-Net or BIDS), or none
# Out: index/ (scans and exclusions), splits.json, preprocess/ (plan, arrays by shard)
#
# Studies of time series have rules of their own for two steps: `spatial` brings raw runs to one space, and
# `preprocess_runs` cleans what lies there. So another band-pass or clip length repeats the second alone.


rule phantom:
    input:
        spec=spec("index"),
    output:
        directory("results/{study}/data"),
    log:
        "results/{study}/logs/phantom.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log} phantom --spec {input.spec} --output {output}"


# Large data sets are read by as many jobs as there are shards: the DAG grows with these, not with the participants.
rule index_shard:
    input:
        data_files,
        spec=spec("index"),
    output:
        temp(directory("results/{study}/index/shards/{shard}")),
    log:
        "results/{study}/logs/index/{shard}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        data=data_folder,
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log} index --spec {input.spec} --data {params.data:q}"
        " --shard {wildcards.shard} --shards {params.shards} --output {output}"


# Of runs it also writes sidecars.json.
rule index:
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
        "python -m voxnas --log {log} index --spec {input.spec} --data {params.data:q} --parts {input.parts}"
        " --output results/{wildcards.study}/index"


rule split:
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
        "python -m voxnas --log {log} split --spec {input.spec} --index results/{wildcards.study}/index"
        " --output {output}"


rule spatial:
    input:
        rules.index.output,
        spec=spec("spatial"),
    output:
        directory("results/{study}/preprocess/spatial/{shard}"),
    log:
        "results/{study}/logs/spatial/{shard}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 240 * attempt,
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log} spatial --spec {input.spec} --index results/{wildcards.study}/index"
        " --shard {wildcards.shard} --shards {params.shards} --output {output}"


rule plan:
    input:
        rules.index.output,
        spatial=spatial_folders,
        spec=spec("preprocess"),
        splits=rules.split.output,
    output:
        "results/{study}/preprocess/plan.json",
    log:
        "results/{study}/logs/plan.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        spatial=spatial_option,
    shell:
        "python -m voxnas --log {log} plan --spec {input.spec} --index results/{wildcards.study}/index"
        " --splits {input.splits} {params.spatial} --output {output}"


rule preprocess:
    input:
        rules.index.output,
        plan=rules.plan.output,
    output:
        arrays="results/{study}/preprocess/shards/{shard}.safetensors",
        records="results/{study}/preprocess/shards/{shard}.json",
    log:
        "results/{study}/logs/preprocess/{shard}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log} preprocess --plan {input.plan} --index results/{wildcards.study}/index"
        " --shard {wildcards.shard} --shards {params.shards} --output {output.arrays}"


rule preprocess_runs:
    input:
        rules.index.output,
        plan=rules.plan.output,
        spatial=spatial_folders,
    output:
        directory("results/{study}/preprocess/shards/{shard}"),
    log:
        "results/{study}/logs/preprocess/{shard}.log",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
        spatial=spatial_option,
    shell:
        "python -m voxnas --log {log} preprocess --plan {input.plan} --index results/{wildcards.study}/index"
        " --shard {wildcards.shard} --shards {params.shards} {params.spatial} --output {output}"
