"""Public functions state their parameters: each is named with a type, and each tensor or array with its shape."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator

import pytest

import voxnas

PACKAGES = ("arch", "deploy", "nn", "search", "training")
ARRAY = re.compile(r"(Sequence\[)?(\w+\.)*(Tensor|ndarray)\b(?! \|).*")
RECORD = re.compile(r"(\w+\.)*[A-Z]\w*(\[.*\])?( \| None)?")  # such as Node: a class says itself what it holds
# Stated once: of the modules of primitives at voxnas.nn.ops.base.Build, of hand-made networks at their registry.
PROTOCOLS = ["node", "channels"], ["in_channels", "out_channels", "dims"]


def public() -> Iterator[tuple[str, Callable[..., object], str]]:
    """Each public function or method with its docstring; of a class, its constructor with that of the class."""
    for found in pkgutil.walk_packages(voxnas.__path__, "voxnas."):
        if found.name.split(".")[1] not in PACKAGES:
            continue
        module = importlib.import_module(found.name)
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", "") != found.name:
                continue
            if inspect.isfunction(thing):
                yield f"{found.name}.{name}", thing, thing.__doc__ or ""
            elif inspect.isclass(thing):
                for attribute, method in vars(thing).items():
                    method = inspect.unwrap(getattr(method, "__func__", method))
                    inherited = any(hasattr(base, attribute) for base in thing.__mro__[1:])
                    if attribute == "__init__" and method.__module__ == found.name:
                        yield f"{found.name}.{name}", method, thing.__doc__ or ""
                    elif (
                        inspect.isfunction(method)
                        and method.__name__ == attribute
                        and attribute[0] != "_"
                        and not inherited
                    ):
                        yield f"{found.name}.{name}.{attribute}", method, method.__doc__ or ""


def section(text: str) -> dict[str, str]:
    """The entries of the section Parameters: name, and type with description."""
    body = re.search(r"Parameters\n-+\n(.*?)(?=\n\n\w[^\n]*\n-+\n|\Z)", inspect.cleandoc(text), re.DOTALL)
    entries = re.findall(r"^(\w[\w, ]*?)( : .*)?$((?:\n +.*)*)", body[1], re.MULTILINE) if body else []
    return {name: kind + more for names, kind, more in entries for name in names.split(", ")}


def annotations(function: Callable[..., object]) -> dict[str, str]:
    """The annotation of each parameter as it is written; none for the methods that a dataclass generates."""
    try:
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except OSError:
        return {}
    return {a.arg: ast.unparse(a.annotation) for a in ast.walk(node.args) if isinstance(a, ast.arg) and a.annotation}


def faults(function: Callable[..., object], text: str) -> list[str]:
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
    names = [p.name for p in parameters]
    parameters = next((parameters[len(first) :] for first in PROTOCOLS if names[: len(first)] == first), parameters)
    stated, written = section(text), annotations(function)
    found = [f"states {name}, which is no parameter" for name in stated if name not in names]
    for p in parameters:
        annotation, words = (
            written.get(p.name, str(p.annotation)),
            re.search(rf"\b{p.name}\b(.{{0,40}})", text, re.DOTALL),
        )
        if words is None and (ARRAY.match(annotation) or not RECORD.fullmatch(annotation)):
            found.append(f"does not name {p.name}")
        elif ARRAY.match(annotation) and not re.search(r"\(|any shape", stated.get(p.name) or words[1]):
            found.append(f"states no shape of {p.name}")
    return found


FOUND = list(public())


@pytest.mark.parametrize("function, text", [f[1:] for f in FOUND], ids=[f[0].removeprefix("voxnas.") for f in FOUND])
def test_parameters_are_stated(function: Callable[..., object], text: str) -> None:
    assert faults(function, text) == []
