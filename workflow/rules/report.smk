# In:  the tables of the benchmark
# Out: figures/, report.html, model/


rule figures:
    """Draw the figures."""
    input:
        drawn,
        "results/{study}/leaderboard.tsv",
        "results/{study}/comparisons.tsv",
        spec=spec("figures"),
    output:
        report(
            directory("results/{study}/figures"),
            patterns=["{name}.svg"],
            category="{study}",
            labels={"figure": "{name}"},
            caption="../report/figures.rst",
        ),
    log:
        "results/{study}/logs/figures.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} figures --study results/{wildcards.study:q} --output {output:q}"


rule package:
    """Write the model folder of the winner."""
    input:
        "results/{study}/leaderboard.tsv",
        spec=spec("evaluate"),
    output:
        directory("results/{study}/model"),
    log:
        "results/{study}/logs/package.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} package --study results/{wildcards.study:q} --output {output:q}"


rule report:
    """Write the report page."""
    input:
        rules.index.output,
        rules.figures.output,
        "results/{study}/leaderboard.tsv",
        "results/{study}/comparisons.tsv",
        spec=spec("report"),
    output:
        "results/{study}/report.html",
    log:
        "results/{study}/logs/report.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} report --study results/{wildcards.study:q} --output {output:q}"
