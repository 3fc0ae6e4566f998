"""``voxnas settings``: validate a study file, or write the files that are generated from the settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from voxnas.core.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("files", nargs="*", help="study files (YAML) to validate")
    parser.add_argument("--write", action="store_true", help="write config.yaml, the schema and the key table")


def run(arguments: argparse.Namespace) -> None:
    """Validate the given files; with --write, write the generated files below the current folder."""
    import yaml

    from voxnas.core.settings import parse_settings
    from voxnas.core.settings_files import generated_files
    from voxnas.core.study_files import read_study_file
    from voxnas.io.records import write_text

    if not arguments.files and not arguments.write:
        raise UserError("nothing to do", "name a study file, or give --write")
    for name in arguments.files:
        try:
            raw = read_study_file(name)
        except (OSError, yaml.YAMLError) as error:
            raise UserError(f"{name}: {error}", "give the path of a YAML file") from None
        settings = parse_settings(raw, name)
        print(f"{name}: study {settings.study!r} is valid")
    if arguments.write:
        if not Path("config").is_dir():
            raise UserError("the current folder has no config/", "run this in the project's folder")
        for path, text in generated_files().items():
            write_text(path, text)
            print(f"wrote {path}")
