# In:  plan, splits, arrays
# Out: search/<search>/steps/<k>/{proposal,result}.json, and one table per search
#
# Proposal k needs proposal k-1 and result k-W, which together imply all older ones, so the DAG is
# static, its edges are few, and W steps can run at once. Every search is such a chain, the recipe
# searches of the hand-made networks too. A proposal may continue the trial of an older step: that
# step's state is in the store, undeclared, since it only saves time and changes no result.


rule calibrate:
    input:
        arrays,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("calibrate"),
        search=calibration_space,
    output:
        "results/{study}/calibration.json",
    log:
        "results/{study}/logs/calibrate.log",
    conda:
        ENVIRONMENT
    threads: all_cores
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
    shell:
        "python -m voxnas --log {log} calibrate --study results/{wildcards.study} --spec {input.spec}"
        " --search {input.search} --plan {input.plan} --output {output}"


rule propose:
    input:
        older,
        calibration,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("search-{search}"),
    output:
        f"{STEP}/{{k}}/proposal.json",
    log:
        "results/{study}/logs/propose/{search}/{k}.log",
    conda:
        ENVIRONMENT
    shell:
        "python -m voxnas --log {log} propose --study results/{wildcards.study} --search {wildcards.search}"
        " --step {wildcards.k} --output {output}"


rule step:
    input:
        arrays,
        calibration,
        proposal=f"{STEP}/{{k}}/proposal.json",
        spec=spec("train"),
    output:
        result=f"{STEP}/{{k}}/result.json",
        run=f"{STEP}/{{k}}/run.json",
        curve=f"{STEP}/{{k}}/curve.tsv",
    log:
        "results/{study}/logs/step/{search}/{k}.log",
    conda:
        ENVIRONMENT
    threads: lambda w: settings_of(w).training.threads
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
        launcher="single",
        processes=1,
        nodes=1,
        training="",
        tensorboard=lambda w: int(settings_of(w).training.tensorboard),
    shell:
        "python -m voxnas --log {log} train --study results/{wildcards.study} --proposal {input.proposal}"
        " --output {output.result} --launcher {resources.launcher} --processes {resources.processes}"
        " --nodes {resources.nodes} --tensorboard {resources.tensorboard} {resources.training}"


rule search:
    input:
        results_of_search,
    output:
        "results/{study}/search/{search}/trials.tsv",
    log:
        "results/{study}/logs/search/{search}.log",
    conda:
        ENVIRONMENT
    params:
        steps=lambda w: searches_of(settings_of(w))[w.search],
    shell:
        "python -m voxnas --log {log} summarize --study results/{wildcards.study} --search {wildcards.search}"
        " --steps {params.steps} --output {output}"
