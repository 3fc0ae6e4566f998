# In:  plan, splits, arrays
# Out: search/<search>/steps/<k>/{proposal,result}.json, and one table per search
#      devices/<kind>.json, where asked for: a kind of node, measured once on one of them (--until device)
#
# Proposal k needs proposal k-1 and result k-W, which together imply all older ones, so the DAG is
# static, its edges are few, and W steps can run at once. Every search is such a chain, the recipe
# searches of the hand-made networks too. A proposal may continue the trial of an older step: that
# step's state is in the store, undeclared, since it only saves time and changes no result.
# In order of arrival (search.order) there is no job that proposes: a step does so when it starts, and remembers it in
# search/<search>/arrivals/, undeclared, so that a killed step that is run again finds what it had proposed.
# A search that is a single job (a strategy of that kind) writes the folder of all its steps at once.


rule calibrate:
    """Measure training and inference times on this machine."""
    input:
        arrays,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("calibrate"),
        search=calibration_space,
    output:
        "results/{study}/calibration.json",
    log:
        "results/{study}/logs/calibrate.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: all_cores
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
    shell:
        "python -m voxnas --log {log} calibrate --study results/{wildcards.study} --spec {input.spec}"
        " --search {input.search} --plan {input.plan} --output {output}"


rule device:
    """Measure a node of one kind, for placement."""
    input:
        arrays,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("calibrate"),
        search=calibration_space,
    output:
        "results/{study}/devices/{kind}.json",
    log:
        "results/{study}/logs/device/{kind}.log",
    conda:
        ENVIRONMENT
    resources:
        **{name: on_node(name) for name in ASKED},
    shell:
        "python -m voxnas --log {log} device --study results/{wildcards.study} --spec {input.spec}"
        " --search {input.search} --plan {input.plan} --output {output}"


rule propose:
    """Write the next proposal of a search."""
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
    """Train one step of a search."""
    input:
        arrays,
        calibration,
        before_step,
        spec=spec("train"),
    output:
        result=f"{STEP}/{{k}}/result.json",
        run=f"{STEP}/{{k}}/run.json",
        curve=f"{STEP}/{{k}}/curve.tsv",
    log:
        "results/{study}/logs/step/{search}/{k}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: lambda w: settings_of(w).training.threads
    resources:
        **PLACED,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=lambda w, attempt: 60 * attempt,
        launcher="single",
        processes=1,
        nodes=1,
        training="",
        tensorboard=lambda w: int(settings_of(w).training.tensorboard),
    params:
        order=lambda w: settings_of(w).search.order,
    shell:
        "python -m voxnas --log {log} step --study results/{wildcards.study} --search {wildcards.search}"
        " --step {wildcards.k} --order {params.order} --output {output.result}"
        " --launcher {resources.launcher} --processes {resources.processes} --kind {resources.kind}"
        " --nodes {resources.nodes} --tensorboard {resources.tensorboard} {resources.training}"


rule discover:
    """Run a search that is a single job."""
    input:
        arrays,
        calibration,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("search-{search}"),
        train=spec("train"),
    output:
        directory(STEP),
    log:
        "results/{study}/logs/discover/{search}.log",
    retries: RETRIES
    conda:
        ENVIRONMENT
    threads: lambda w: settings_of(w).training.threads
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
    shell:
        "python -m voxnas --log {log} discover --study results/{wildcards.study} --search {wildcards.search}"


rule summarize:
    """Write the table of the trials of a search."""
    input:
        results_of_search,
    output:
        "results/{study}/search/{search}/trials.tsv",
    log:
        "results/{study}/logs/summarize/{search}.log",
    conda:
        ENVIRONMENT
    params:
        steps=steps_option,
    shell:
        "python -m voxnas --log {log} summarize --study results/{wildcards.study} --search {wildcards.search}"
        " {params.steps} --output {output}"


rule search:
    """Target: all searches of the study."""
    input:
        STAGES["search"],
