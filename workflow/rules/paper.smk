# `snakemake paper`: every published table and figure, from the studies listed in `paper`.


rule publish:
    """Copy the tables and figures of a study to results/published."""
    input:
        leaderboard="results/{study}/leaderboard.tsv",
        comparisons="results/{study}/comparisons.tsv",
        figures="results/{study}/figures",
    output:
        directory("results/published/{study}"),
    log:
        "results/{study}/logs/publish.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} publish --study results/{wildcards.study:q} --output {output:q}"


rule collect:
    """Write one table of all published studies."""
    input:
        expand("results/published/{study}", study=STUDY.paper),
    output:
        "results/published/studies.tsv",
    log:
        "results/published/paper.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} collect --results results/published --output {output:q}"


rule paper:
    """Target: every published table and figure."""
    input:
        rules.collect.output,
