# In:  the settings
# Out: spec/<stage>.json, the settings that the jobs of a stage read


rule spec:
    """Write the settings of one stage."""
    output:
        "results/{study}/spec/{stage}.json",
    log:
        "results/{study}/logs/spec/{stage}.log",
    conda:
        ENVIRONMENT
    params:
        text=spec_text,
    shell:
        "printf '%s\\n' {params.text:q} > {output:q} 2> {log:q}"
