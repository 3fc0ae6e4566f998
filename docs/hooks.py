"""Collection of the pages of the site from the source tree.

MkDocs reads one folder, whereas the pages lie beside the files that they describe (config/README.md,
results/published). The pages of the navigation, and all files of the source tree that they link to, are copied to
build/docs under their own paths, so that a link is the same in the source tree and on the site. The pages of the
command line, of the Python API and of the notebooks are generated.
"""

import base64
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "docs" / "notebooks"
PAGES = ROOT / "build" / "docs"
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Modules of the Python API with their titles: functions for notebooks, and the protocols of extensions.
API = {"voxnas.api": "Functions", "voxnas.search.base": "Strategies", "voxnas.arch.search_space": "Search spaces"}


def on_config(config: Any) -> Any:
    """Fill the folder of the pages; headings get the anchors that GitHub gives them."""
    from pymdownx.slugs import slugify

    shutil.rmtree(PAGES, ignore_errors=True)
    config["nav"] = with_folders(config["nav"])
    for file in linked_files(pages(config["nav"])):
        (PAGES / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, PAGES / file)
    generated = {"docs/reference/commands.md": commands(), "docs/reference/api.md": api()}
    for file in NOTEBOOKS.glob("*.ipynb"):
        generated[f"docs/notebooks/{file.stem}.md"] = notebook_page(file, PAGES / "docs" / "notebooks")
    for name, text in generated.items():
        (PAGES / name).write_text(text, encoding="utf-8")
    config["docs_dir"] = str(PAGES)
    config["mdx_configs"]["toc"] = {"slugify": slugify(case="lower"), "permalink": True}
    return config


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Keep only the text of a link to a folder of the source tree, which is no page."""
    folder = ROOT / os.path.dirname(page.file.src_uri)
    return re.sub(r"\[([^\]]+)\]\(([^)\s#]+)\)", lambda m: m[1] if (folder / m[2]).is_dir() else m[0], markdown)


def with_folders(nav: Any) -> Any:
    """Replace each folder of a navigation by its pages: README.md, then the others by name."""
    if isinstance(nav, dict):
        return {title: with_folders(part) for title, part in nav.items()}
    if isinstance(nav, list):
        return [with_folders(part) for part in nav]
    if not nav.endswith("/"):
        return nav
    names = sorted((file.name for file in (ROOT / nav).glob("*.md")), key=lambda name: (name != "README.md", name))
    return [nav + name for name in names]


def pages(nav: Any) -> list[str]:
    """Pages of a navigation, in its order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages(part)]


def links(text: str) -> list[tuple[str, str]]:
    """Relative links of a page: path (empty for the page itself) and anchor; code is left out."""
    text = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    found = [link.partition("#") for link in LINK.findall(text) if not re.match(r"[a-z]+:", link)]
    return [(path, anchor) for path, _, anchor in found]


def linked_files(names: list[str]) -> list[str]:
    """These pages of the source tree, and all files to which they and the linked pages link."""
    waiting, found = list(names), {}
    while waiting:
        name = waiting.pop()
        if name in found or not (ROOT / name).is_file():
            continue
        found[name] = None
        if name.endswith(".md"):
            folder = os.path.dirname(name)
            text = (ROOT / name).read_text(encoding="utf-8")
            waiting += [os.path.normpath(os.path.join(folder, path)) for path, _ in links(text) if path]
    return list(found)


def on_page_content(html: str, **_: Any) -> str:
    """Remove the roles of reStructuredText before the names in docstrings."""
    return re.sub(r":(?:attr|class|data|func|meth|mod):(?=<code>)", "", html)


def api() -> str:
    """Page of the Python API, for mkdocstrings."""
    return "# Python API\n\n" + "\n".join(f"## {title}\n\n::: {module}\n" for module, title in API.items())


def notebook_page(file: Path, folder: Path) -> str:
    """Page of an executed notebook; its images are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, cell in enumerate(json.loads(file.read_text(encoding="utf-8"))["cells"]):
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for place, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {"text/plain": output.get("text", "")})
            if "image/png" in data:
                image = f"{file.stem}-{number}-{place}.png"
                (folder / image).write_bytes(base64.b64decode("".join(data["image/png"])))
                parts.append(f"![Output of the cell]({image})")
            elif "text/html" in data:
                table = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.DOTALL)
                parts.append(re.sub("<table[^>]*>", "<table>", table))
            else:
                parts.append("```text\n" + "".join(data["text/plain"]) + "\n```")
    return "\n\n".join(parts) + "\n"


def commands() -> str:
    """Page of the verbs that users call, with the help texts of the command line."""
    os.environ["COLUMNS"] = "100"
    from voxnas.cli.main import PEOPLE, build_parser

    lines = ["# Commands", "", "The help texts of `voxnas VERB --help`.", ""]
    for verb in PEOPLE:
        choices = next(action.choices for action in build_parser(verb)._actions if isinstance(action.choices, dict))
        lines += [f"## {verb}", "", "```text", choices[verb].format_help().strip(), "```", ""]
    return "\n".join(lines)
