"""``voxnas settings``: validate a study file, or write the files that are generated from the settings."""

import argparse
from pathlib import Path

from voxnas.core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("files", nargs="*", help="study files (YAML) to validate")
    parser.add_argument("--write", action="store_true", help="write config.yaml, the schema and the key table")


def run(arguments: argparse.Namespace) -> None:
    """Validate the given files; with --write, write the generated files below the current folder."""
    from voxnas.arch.search_space import SearchSpace
    from voxnas.arch.study_outline import check_baselines, read_space, searches_of
    from voxnas.core.project import project_folder
    from voxnas.core.settings import parse_settings
    from voxnas.core.settings_files import generated_files
    from voxnas.core.study_files import read_study_file
    from voxnas.io.records import write_text

    if not arguments.files and not arguments.write:
        raise UserError("nothing to do", "name a study file, or give --write")
    for name in arguments.files:
        settings = parse_settings(read_study_file(name), name)
        check_baselines(settings, name)
        if searches_of(settings):
            space = read_space(settings, project_folder() / "config" / "search_spaces", name)
            SearchSpace.from_dict(space, f"{name}: search.space = {settings.search.space!r}")
        print(f"{name}: study {settings.study!r} is valid")
    if arguments.write:
        if not Path("config").is_dir():
            raise UserError("the current folder has no config/", "run this in the project's folder")
        for path, text in generated_files().items():
            write_text(path, text)
            print(f"wrote {path}")
