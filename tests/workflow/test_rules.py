"""Each rule bears the name of the verb that it calls, and says what it does (``snakemake --list``)."""

import re

import pytest
from running import PROJECT

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
    called = {rule: re.search(r"voxnas --log \{log\} (\w+)", body) for rule, body in BLOCKS.items()}
    verbs = {rule: match[1] for rule, match in called.items() if match}
    assert set(verbs.values()) == {*RULES, "collect"}
    assert [rule for rule, verb in verbs.items() if rule != verb and not rule.startswith(f"{verb}_")] == []
