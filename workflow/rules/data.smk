# In:  a data set (MSD, nnU-Net or BIDS), or none
# Out: index/ (scans and exclusions), splits.json, preprocess/ (plan, arrays by shard)


def data_folder(wildcards):
    return settings_of(wildcards).data_root or f"results/{wildcards.study}/data"


def data_files(wildcards):
    """What tells that the data set changed: the phantom, or the tables at the root of the user's folder."""
    settings = settings_of(wildcards)
    if not settings.data_root:
        return [f"results/{wildcards.study}/data"]
    root = Path(settings.data_root)
    inside = root / settings.data.folder
    root = inside if inside.is_dir() else root
    return [str(root / name) for name in ("dataset.json", "participants.tsv") if (root / name).exists()]


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


rule index:
    input:
        data_files,
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
        "python -m voxnas --log {log} index --spec {input.spec} --data {params.data:q}"
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


rule plan:
    input:
        rules.index.output,
        spec=spec("preprocess"),
        splits=rules.split.output,
    output:
        "results/{study}/preprocess/plan.json",
    log:
        "results/{study}/logs/plan.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log} plan --spec {input.spec} --index results/{wildcards.study}/index"
        " --splits {input.splits} --output {output}"


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
    params:
        shards=lambda w: settings_of(w).preprocess.shards,
    shell:
        "python -m voxnas --log {log} preprocess --plan {input.plan} --index results/{wildcards.study}/index"
        " --shard {wildcards.shard} --shards {params.shards} --output {output.arrays}"


def arrays(wildcards):
    """Everything that a training reads: plan, splits and the arrays of all shards."""
    shards = settings_of(wildcards).preprocess.shards
    return [
        "results/{study}/preprocess/plan.json",
        "results/{study}/splits.json",
        *(f"results/{{study}}/preprocess/shards/{i}.safetensors" for i in range(shards)),
    ]
