"""The documentation: links, navigation, and the build of the site."""

import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]


def module(path: str) -> ModuleType:
    """Load a file of docs/, which is no package."""
    specification = importlib.util.spec_from_file_location(Path(path).stem, ROOT / "docs" / path)
    assert specification is not None and specification.loader is not None
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


hooks = module("hooks.py")

NAVIGATION = hooks.pages(hooks.with_folders(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
GENERATED = {"docs/reference/commands.md", "docs/reference/api.md"} | {
    f"docs/notebooks/{file.stem}.md" for file in NOTEBOOKS
}
DOCUMENTS = sorted(
    str(file.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "config/**/*.md", "results/published/**/*.md")
    for file in ROOT.glob(pattern)
)


@cache
def anchors(file: Path) -> set[str]:
    """Anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(file: Path) -> list[str]:
    found, text = [], file.read_text(encoding="utf-8")
    if file.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in nbformat.reads(text, 4).cells if cell.cell_type == "markdown")
    for path, anchor in hooks.links(text):
        target = file.parent / path if path else file
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(f"{path}#{anchor}" if anchor else path)
    return found


@pytest.mark.parametrize("document", [*DOCUMENTS, *(str(file.relative_to(ROOT)) for file in NOTEBOOKS)])
def test_relative_links_and_anchors_resolve(document: str) -> None:
    assert broken_links(ROOT / document) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A title, and more\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#a-title-and-more) [b](other.md#b) [c](c.md) [d](https://e.org) [e](#e) `[f](f.md)`\n")
    assert broken_links(page) == ["other.md#b", "c.md", "#e"]


def test_the_navigation_has_every_page_once() -> None:
    assert len(NAVIGATION) == len(set(NAVIGATION))
    written = {name for name in DOCUMENTS if name.startswith("docs/")}
    assert {name for name in NAVIGATION if name.startswith("docs/")} == written | GENERATED
    assert all((ROOT / name).is_file() for name in set(NAVIGATION) - GENERATED)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_and_holds_its_outputs(file: Path) -> None:
    notebook = nbformat.read(file, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [[output.output_type for output in cell.outputs] for cell in code]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)] and file.stat().st_size < 500_000
    small = {"FULL = 5, 40, 240": "FULL = 1, 8, 8", '"participants": 12': '"participants": 8'}
    module("notebooks/execute.py").execute(notebook, small)
    assert [[output.output_type for output in cell.outputs] for cell in code] == kinds
    assert any("display_data" in kind for kind in kinds)


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_the_citation_has_the_version_of_the_package() -> None:
    from voxnas import __version__

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.skipif(importlib.util.find_spec("mkdocstrings") is None, reason="the extra `docs` is missing: make docs")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    commands = (tmp_path / "docs" / "reference" / "commands" / "index.html").read_text()
    assert "usage: voxnas predict" in commands
    assert "run_search" in (tmp_path / "docs" / "reference" / "api" / "index.html").read_text()
