"""The documentation: links, navigation, and the build of the site."""

import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
specification = importlib.util.spec_from_file_location("hooks", ROOT / "docs" / "hooks.py")
hooks = importlib.util.module_from_spec(specification)
specification.loader.exec_module(hooks)

NAVIGATION = hooks.pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
GENERATED = {"docs/reference/commands.md", "docs/reference/api.md"}
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
    found = []
    for path, anchor in hooks.links(file.read_text(encoding="utf-8")):
        target = file.parent / path if path else file
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(f"{path}#{anchor}" if anchor else path)
    return found


@pytest.mark.parametrize("document", DOCUMENTS)
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


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 80


def test_the_citation_has_the_version_of_the_package() -> None:
    from voxnas import __version__

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.skipif(importlib.util.find_spec("mkdocstrings") is None, reason="the extra `docs` is missing: make docs")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    commands = (tmp_path / "docs" / "reference" / "commands" / "index.html").read_text()
    assert "usage: voxnas predict" in commands
    assert "run_search" in (tmp_path / "docs" / "reference" / "api" / "index.html").read_text()
