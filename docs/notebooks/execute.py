"""Execute the notebooks and store their outputs in them: ``python docs/notebooks/execute.py [NAME ..]``.

The cells run in this process, so that no kernel is needed. An output is the printed text, the value of the last
expression of a cell unless a semicolon follows, or a figure of matplotlib that the cell leaves open.
"""

import ast
import base64
import io
import os
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_output

FOLDER = Path(__file__).resolve().parent


def run_cell(source: str, names: dict[str, Any]) -> list[Any]:
    """Run the source of a cell in a namespace, and return its outputs."""
    from matplotlib import pyplot

    body = ast.parse(source).body
    last = ast.Expression(body.pop().value) if body and isinstance(body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        if last is not None:
            value = eval(compile(last, "cell", "eval"), names)
    outputs = [new_output("stream", name="stdout", text=printed.getvalue())] if printed.getvalue() else []
    if value is not None and not source.rstrip().endswith(";"):
        data = {"text/plain": repr(value)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_()
        outputs.append(new_output("execute_result", data))
    for number in pyplot.get_fignums():
        image = io.BytesIO()
        pyplot.figure(number).savefig(image, format="png", dpi=72, bbox_inches="tight", metadata={"Software": None})
        outputs.append(new_output("display_data", {"image/png": base64.b64encode(image.getvalue()).decode()}))
    pyplot.close("all")
    return outputs


def execute(notebook: Any, replaced: dict[str, str] | None = None) -> None:
    """Run all cells of a notebook in a temporary folder, and replace their outputs.

    The folder lies in a copy of the place of the notebooks, so that ``../../results/published`` exists.

    Parameters
    ----------
    notebook : NotebookNode
    replaced : dict of str to str, optional
        Texts of cells and what runs in their place.
    """
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root, "docs", "notebooks")
        folder.mkdir(parents=True)
        Path(root, "results").symlink_to(FOLDER.parents[1] / "results")
        os.chdir(folder)
        try:
            for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
                source = cell.source
                for text, other in (replaced or {}).items():
                    source = source.replace(text, other)
                cell.outputs, cell.execution_count = run_cell(source, names), number
                for output in cell.outputs:
                    if output.output_type == "execute_result":
                        output.execution_count = number
        finally:
            os.chdir(before)


def main(names: list[str]) -> None:
    """Execute the notebooks of these names, by default all."""
    for file in [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(file, 4)
        execute(notebook)
        nbformat.write(notebook, file)


if __name__ == "__main__":
    main(sys.argv[1:])
