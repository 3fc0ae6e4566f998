"""Each rule bears the name of the verb that it calls, says what it does, and quotes the values in its shell line."""

import ast
import os
import re
import string
import subprocess
from pathlib import Path

import pytest
from running import PROJECT, snakemake, write_study
from snakemake.iocontainers import Namedlist
from snakemake.utils import format as snakemake_format

from voxnas.cli.main import RULES

TEXTS = [PROJECT / "Snakefile", *sorted((PROJECT / "workflow/rules").glob("*.smk"))]
BLOCKS = {
    name: body
    for file in TEXTS
    for name, body in re.findall(r"^ *(?:rule|checkpoint) (\w+):\n((?:(?: .*)?\n)*)", file.read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("rule", BLOCKS)
def test_a_rule_says_what_it_does(rule: str) -> None:
    assert re.match(r' +"""[A-Z].*\."""\n', BLOCKS[rule])


def test_rules_bear_the_name_of_their_verb() -> None:
    called = {rule: re.search(r"voxnas --log \{log:q\} (\w+)", body) for rule, body in BLOCKS.items()}
    verbs = {rule: match[1] for rule, match in called.items() if match}
    assert set(verbs.values()) == {*RULES, "collect", "evaluate"}
    assert [rule for rule, verb in verbs.items() if rule != verb and not rule.startswith(f"{verb}_")] == []


HOSTILE = ["$(touch pwned)", "`touch pwned`", "; touch pwned", "&& touch pwned #", "' touch pwned '", '" touch pwned "']
HOSTILE += ["a\ntouch pwned\n", "> pwned", "{wildcards} ~ * $HOME", "-x"]
SHELLS = {
    rule: ast.literal_eval(f"({match[1]})")
    for rule, body in BLOCKS.items()
    if (match := re.search(r"^ *shell:\n(.*)", body, re.MULTILINE | re.DOTALL))
}
RECORDER = "#!/bin/sh\nprintf '%s' \"$*\" >arguments\n"


def fields(shell: str) -> dict[str, list[str]]:
    """Values of a shell line: the names of the members of each object, such as `study` of `wildcards`."""
    found: dict[str, list[str]] = {}
    for _, name, spec, _ in string.Formatter().parse(shell):
        if name is not None:
            assert spec == "q", f"{name} is not quoted"
            kind, _, member = name.partition(".")
            found.setdefault(kind, []).append(member)
    return found


@pytest.mark.parametrize("rule", SHELLS)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_of_a_shell_line_is_executed(rule: str, text: str, tmp_path: Path) -> None:
    """Each wildcard, parameter, resource and file holds a command, in the formatting and the shell of Snakemake."""
    values: dict[str, object] = {}
    for kind, members in fields(SHELLS[rule]).items():
        named = {member: text for member in members if member}
        values[kind] = Namedlist(fromdict=named) if named else Namedlist(toclone=[text])
    command = snakemake_format(SHELLS[rule], **values)
    for program in ("python", "fmriprep"):
        (tmp_path / program).write_text(RECORDER)
        (tmp_path / program).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FS_LICENSE": text}
    subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=20)
    assert not (tmp_path / "pwned").exists()
    if "python" in command or "fmriprep" in command:
        assert text in (tmp_path / "arguments").read_text()


def test_a_hostile_folder_of_data_reaches_its_job_as_it_is(tmp_path: Path) -> None:
    """The folder exists and holds no data set, so that the first job ends with one line that names it."""
    folder = tmp_path / "$(touch pwned); `touch pwned` ' \" > pwned #"
    folder.mkdir()
    study = write_study(tmp_path, data_root=str(folder))
    done = snakemake(tmp_path, "--configfile", str(study), "--cores", "1", "--until", "index", check=False)
    log = next((tmp_path / "results/tiny/logs/index").glob("*.log")).read_text()  # of the shard that ran first
    assert done.returncode and log.startswith("voxnas index: ") and str(folder) in log
    assert not list(tmp_path.rglob("pwned"))
