"""A finished study as a Workflow Run RO-Crate: the workflow, its inputs and outputs, and what ran.

The profile is Workflow Run Crate 0.5 (Leo et al. 2024, https://doi.org/10.1371/journal.pone.0309210) on RO-Crate 1.1.
"""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from voxnas import __version__
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.project import project_folder
from voxnas.io.records import read_json, write_json
from voxnas.io.replace import replacing_folder
from voxnas.report.all_trials import all_trials, started_searches, write_csv
from voxnas.report.publish import publish_study

METADATA = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
LICENSE = "https://spdx.org/licenses/Apache-2.0"
FORMATS = {
    ".json": "application/json",
    ".tsv": "text/tab-separated-values",
    ".csv": "text/csv",
    ".html": "text/html",
}
INPUTS = {
    "study.json": ("settings", "Settings of the study, with the defaults"),
    "scans.tsv": ("scans", "Indexed scans with participants and SHA-256 digests; the images are not in the crate"),
}
OUTPUTS = {
    "report.html": ("report", "Report of the study"),
    "model/": ("model", "Model folder of the winner, for voxnas predict"),
    "results/leaderboard.tsv": ("leaderboard", "Scores on the locked test split, with intervals"),
    "results/comparisons.tsv": ("comparisons", "Paired differences between the networks"),
    "results/provenance.json": ("provenance", "Devices, versions and CPU time of all trainings"),
    "results/figures/": ("figures", "Figures, and the tables from which they are drawn"),
    "trials.csv": ("trials", "All trials of all searches"),
}


def write_crate(paths: StudyPaths, output: Path) -> None:
    """Write a finished study as a Workflow Run RO-Crate.

    The folder contains the workflow, the settings, the table of scans, all trials, the tables and figures of the
    benchmark, the report, and the model; it does not contain the scans. No agent is named. The action begins with the
    first training and ends with the report, by the times of their files.

    Parameters
    ----------
    paths : StudyPaths
    output : Path
        Folder to write; a former crate is replaced.

    Raises
    ------
    UserError
        If the study is not finished, or the folder holds other files.
    """
    for needed in (paths.root / "report.html", paths.root / "model" / "model.json", paths.leaderboard):
        if not needed.exists():
            raise UserError(f"the study is not finished: {needed} does not exist", "run the study to its end")
    with replacing_folder(output, METADATA) as folder:
        _copy_workflow(folder)
        shutil.copy(paths.settings, folder / "study.json")
        shutil.copy(paths.scans, folder / "scans.tsv")
        shutil.copy(paths.root / "report.html", folder)
        shutil.copytree(paths.root / "model", folder / "model")
        publish_study(paths.root, folder / "results")
        write_csv(all_trials(paths, started_searches(paths)), folder / "trials.csv")
        write_json(folder / METADATA, _metadata(paths))


def _copy_workflow(folder: Path) -> None:
    project = project_folder()
    shutil.copy(project / "Snakefile", folder)
    shutil.copytree(project / "workflow", folder / "workflow", ignore=shutil.ignore_patterns("__pycache__"))


def _metadata(paths: StudyPaths) -> dict[str, Any]:
    """JSON-LD of the crate."""
    study, files = paths.root.resolve().name, {**INPUTS, **OUTPUTS}
    runs = [(_time(file), read_json(file)["wall_seconds"]) for file in paths.store.glob("*/run.json")]
    began, ended = min(end - seconds for end, seconds in runs), _time(paths.root / "report.html")
    graph = [
        {
            "@id": METADATA,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": _ids([CRATE, WORKFLOW_CRATE]),
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "conformsTo": _ids(PROFILES),
            "name": f"Study {study} of Voxnas",
            "description": f"Architecture search and benchmark of the study {study}: workflow, settings, trials, "
            "scores on the locked test split, report and model",
            "datePublished": _text(ended),
            "license": {"@id": LICENSE},
            "hasPart": _ids(["Snakefile", "workflow/", *files]),
            "mainEntity": {"@id": "Snakefile"},
            "mentions": {"@id": "#run"},
        },
        *(
            {"@id": profile, "@type": "CreativeWork", "name": name, "version": version}
            for profile, (name, version) in PROFILES.items()
        ),
        {
            "@id": LICENSE,
            "@type": "CreativeWork",
            "name": "Apache License 2.0",
            "description": "Licence of the workflow; the licence of the data set applies to all results",
        },
        {
            "@id": "Snakefile",
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "conformsTo": {"@id": WORKFLOW},
            "encodingFormat": "text/plain",
            "name": "Voxnas",
            "description": "Neural architecture search for 3D and 4D brain images",
            "version": __version__,
            "license": {"@id": LICENSE},
            "programmingLanguage": {"@id": "#snakemake"},
            "input": _ids(f"#{name}" for name, _ in INPUTS.values()),
            "output": _ids(f"#{name}" for name, _ in OUTPUTS.values()),
        },
        {
            "@id": "workflow/",
            "@type": "Dataset",
            "name": "workflow",
            "description": "Rules, profiles and schemas that the Snakefile includes",
        },
        {
            "@id": "#snakemake",
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.readthedocs.io"},
        },
        {
            "@id": "#run",
            "@type": "CreateAction",
            "name": f"Run of the study {study}",
            "description": "Search, trainings, benchmark and report, from the first training to the report",
            "instrument": {"@id": "Snakefile"},
            "object": _ids(INPUTS),
            "result": _ids(OUTPUTS),
            "startTime": _text(began),
            "endTime": _text(ended),
            "actionStatus": "http://schema.org/CompletedActionStatus",
        },
    ]
    for file, (name, description) in files.items():
        graph.append(_entity(file, name, description))
        graph.append(_parameter(file, name, description))
    return {"@context": f"{CRATE}/context", "@graph": graph}


def _entity(file: str, name: str, description: str) -> dict[str, Any]:
    """File or folder of the crate, as an example of its parameter."""
    kind: dict[str, Any] = {"@type": "Dataset"}
    if not file.endswith("/"):
        kind = {"@type": "File", "encodingFormat": FORMATS[Path(file).suffix]}
    return {"@id": file, **kind, "name": name, "description": description, "exampleOfWork": {"@id": f"#{name}"}}


def _parameter(file: str, name: str, description: str) -> dict[str, Any]:
    """Input or output of the workflow."""
    return {
        "@id": f"#{name}",
        "@type": "FormalParameter",
        "conformsTo": {"@id": PARAMETER},
        "additionalType": "Dataset" if file.endswith("/") else "File",
        "name": name,
        "description": description,
        "valueRequired": True,
        "workExample": {"@id": file},
    }


def _ids(names: Any) -> list[dict[str, str]]:
    return [{"@id": name} for name in names]


def _time(file: Path) -> float:
    return file.stat().st_mtime


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
