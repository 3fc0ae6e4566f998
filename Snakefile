# Voxnas: from scans to a searched and proven network. This file computes nothing: it names the
# targets, and the chapters in workflow/rules do the work by calling `voxnas`.
#
#   snakemake --cores 2                                                          the embedded study
#   snakemake --configfile config/studies/NAME.yaml --config data_root=PATH --cores 2
#   snakemake ... --until preprocess      (index, preprocess, search, train, benchmark, report)
from snakemake.utils import min_version

min_version("9.0")


if Path("config/config.yaml").exists():

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"


localrules:
    all,
    spec,
    propose,
    network,


# Named stages and what each leaves behind.
STAGES = {
    "index": [f"results/{STUDY.study}/index/scans.tsv"],
    "preprocess": [f"results/{STUDY.study}/preprocess/shards/{i}.json" for i in range(STUDY.preprocess.shards)],
    "search": [f"results/{STUDY.study}/search/{name}/trials.tsv" for name in searches_of(STUDY)],
    "train": [f"results/{STUDY.study}/networks.tsv"],
    "benchmark": [f"results/{STUDY.study}/leaderboard.tsv"],
    "report": [f"results/{STUDY.study}/report.html"],
}


def goals(wildcards):
    """What the run is for: the whole study, or the stages named by --until.

    Snakemake 9's own --until forgets the jobs that appear behind a checkpoint, so the named stages
    become the goals themselves. (tests/workflow/test_stages.py holds this against its internals.)
    """
    stages = workflow.dag.untilrules & set(STAGES)
    workflow.dag.untilrules -= stages
    return [file for stage in sorted(stages) for file in STAGES[stage]] or study_outputs(STUDY.study)


rule all:
    default_target: True
    input:
        goals,
