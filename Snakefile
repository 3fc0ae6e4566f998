# Voxnas: from scans to a searched and tested network. This file defines the targets; the rules in workflow/rules
# call `voxnas`.
#
#   snakemake --cores 2                                                          the default study
#   snakemake --configfile config/studies/NAME.yaml --config data_root=PATH --cores 2
#   snakemake ... --until preprocess      (index, preprocess, search, train, benchmark, report)
from copy import deepcopy

from snakemake.utils import min_version

min_version("9.0")

STATED = deepcopy(config)  # the study file and the command line, before the defaults are added

if Path("config/config.yaml").exists():

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/placement.smk"
include: "workflow/rules/specs.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/bold.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/compress.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/paper.smk"


localrules:
    all,
    spec,
    index,
    split,
    propose,
    summarize,
    select,
    network,
    trainings,
    package,


rule all:
    """Target: the report and the model folder of the study."""
    default_target: True
    input:
        goals,
        network_records,
