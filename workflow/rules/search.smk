# In:  plan, splits, arrays
# Out: search/<search>/steps/<k>/{proposal,result}.json, and one table per search
#      devices/<kind>.json, on request (--until device): a kind of node, measured once on one of its nodes
#
# Proposal k depends on proposal k-1 and result k-W, which imply all older ones. The DAG is therefore static with few
# edges, and W steps run concurrently. Every search is such a chain, including the recipe searches of the hand-made
# networks. A proposal may continue the trial of an earlier step. The state of that step is in the store and is not
# declared, because it saves time but does not affect results.
# In order of arrival (search.order), a step makes its proposal when it starts and records it in
# search/<search>/arrivals/. This folder is not declared, so that a killed step finds its proposal when it runs again.
# A search by a strategy that is a single job writes the folder of all its steps at once.


rule calibrate:
    """Measure training and inference times on this machine."""
    input:
        arrays,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("calibrate"),
        train=spec("train"),
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
        "python -m voxnas --log {log:q} calibrate --study results/{wildcards.study:q} --spec {input.spec:q}"
        " --search {input.search:q} --plan {input.plan:q} --output {output:q}"


rule device:
    """Measure a node of one kind, for placement."""
    input:
        arrays,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("calibrate"),
        train=spec("train"),
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
        "python -m voxnas --log {log:q} device --study results/{wildcards.study:q} --spec {input.spec:q}"
        " --search {input.search:q} --plan {input.plan:q} --output {output:q}"


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
        "python -m voxnas --log {log:q} propose --study results/{wildcards.study:q} --search {wildcards.search:q}"
        " --step {wildcards.k:q} --output {output:q}"


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
        "python -m voxnas --log {log:q} step --study results/{wildcards.study:q} --search {wildcards.search:q}"
        " --step {wildcards.k:q} --order {params.order:q} --output {output.result:q}"
        " --launcher {resources.launcher:q} --processes {resources.processes:q} --kind {resources.kind:q}"
        " --nodes {resources.nodes:q} --tensorboard {resources.tensorboard:q} --options={resources.training:q}"


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
        runtime=lambda w, attempt: 240 * attempt,
        launcher="single",
        processes=1,
        nodes=1,
        training="",
    shell:
        "python -m voxnas --log {log:q} discover --study results/{wildcards.study:q} --search {wildcards.search:q}"
        " --launcher {resources.launcher:q} --processes {resources.processes:q} --nodes {resources.nodes:q}"
        " --options={resources.training:q}"


rule summarize:
    """Write the table of the trials of a search."""
    input:
        results_of_search,
        calibration,
        plan="results/{study}/preprocess/plan.json",
        spec=spec("search-{search}"),
    output:
        table="results/{study}/search/{search}/trials.tsv",
        front="results/{study}/search/{search}/front.tsv",
    log:
        "results/{study}/logs/summarize/{search}.log",
    conda:
        ENVIRONMENT
    params:
        steps=steps_option,
    shell:
        "python -m voxnas --log {log:q} summarize --study results/{wildcards.study:q} --search {wildcards.search:q}"
        " {params.steps:q} --output {output.table:q} --front {output.front:q}"


rule search:
    """Target: all searches of the study."""
    input:
        STAGES["search"],
