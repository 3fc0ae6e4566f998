# In:  a BIDS data set with raw BOLD runs
# Out: derivatives/fmriprep in the data set, which replaces the spatial steps in a study with `data.images: fmriprep`
#
# On request only; requires apptainer. FS_LICENSE is the path of FreeSurfer's licence file, which fMRIPrep requires even
# without surfaces. Folders outside the home and the working folder must be bound:
#
#   FS_LICENSE=FILE snakemake fmriprep --configfile config/studies/NAME.yaml --config data_root=PATH \
#       --sdm apptainer --apptainer-args "--bind PATH"
if STUDY.data_root:
    BIDS = data_set(STUDY)

    rule fmriprep:
        """Target: the derivatives of all participants."""
        input:
            lambda wildcards: fmriprep_pages(BIDS),

    rule fmriprep_participant:
        """Run fMRIPrep on one participant."""
        input:
            f"{BIDS}/dataset_description.json",
        output:
            f"{BIDS}/derivatives/fmriprep/{{participant}}.html",
        log:
            f"results/{STUDY.study}/logs/fmriprep/{{participant}}.log",
        wildcard_constraints:
            participant="sub-[A-Za-z0-9]+",
        retries: RETRIES
        container:
            "docker://nipreps/fmriprep:25.2.7"
        threads: 8
        resources:
            mem_mb=lambda w, attempt: 16000 * attempt,
            runtime=lambda w, attempt: 12 * 60 * attempt,
        params:
            bids=BIDS,
        shell:
            "fmriprep {params.bids:q} {params.bids:q}/derivatives/fmriprep participant"
            " --participant-label {wildcards.participant:q} --skip-bids-validation --fs-no-reconall --notrack"
            ' --output-spaces MNI152NLin2009cAsym:res-2 --fs-license-file "$FS_LICENSE"'
            " --nthreads {threads:q} --mem-mb {resources.mem_mb:q} --work-dir {resources.tmpdir:q}/{wildcards.participant:q}"
            " > {log:q} 2>&1"
