# In:  the trained finalists and hand-made networks
# Out: pruned.json, networks that are trained, evaluated and compared by the rules of all networks
#
# Each step of the compression is a checkpoint of its own, so that a change of its settings repeats it alone.


checkpoint prune:
    """Remove channels of the winner."""
    input:
        trained_finalists,
        finalists="results/{study}/finalists.json",
        plan="results/{study}/preprocess/plan.json",
        benchmark=spec("benchmark"),
        spec=spec("prune"),
    output:
        "results/{study}/pruned.json",
    log:
        "results/{study}/logs/prune.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log:q} prune --study results/{wildcards.study:q} --output {output:q}"
