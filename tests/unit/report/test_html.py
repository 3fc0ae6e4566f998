import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import benchmark
from voxnas.core.errors import UserError
from voxnas.core.measures import MEASURES
from voxnas.core.settings import parse_settings
from voxnas.core.spec import ReportSpec, stage_spec
from voxnas.core.splits import Splits
from voxnas.data.ledger import ledger_file
from voxnas.io.records import read_json, read_record, write_json, write_text
from voxnas.report.cost import cost_table
from voxnas.report.figures import draw_figures
from voxnas.report.html import _parameters, inline_svg, render_report
from voxnas.report.sentence import headline, separation
from voxnas.report.summary import summary
from voxnas.report.trials import front_table

NETWORKS = ("bayesian-1", "random-1", "small")
VOID = {"meta", "br", "path", "rect", "use", "image", "link", "input"}


@pytest.fixture
def page(finished_study):
    return render_report(finished_study)


class _Checker(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.loads = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids += [attrs["id"]] if "id" in attrs else []
        for name in ("src", "href", "xlink:href"):
            target = attrs.get(name, "")
            (self.links if target.startswith("#") else self.loads).append(target)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def test_a_truncated_index_stops_the_report(fake_segmentation, write_benchmark):
    write_benchmark(fake_segmentation)
    lines = fake_segmentation.scans.read_text().splitlines(keepends=True)
    for words, kept in ((r"rows, dataset\.json counts", lines[:-1]), ("has 1 cells", [*lines[:-1], "sub"])):
        fake_segmentation.scans.write_text("".join(kept))
        with pytest.raises(UserError, match=words):
            render_report(fake_segmentation)


def test_the_page_is_whole_and_self_contained(page):
    checker = _Checker()
    checker.feed(page)
    assert not checker.open
    assert len(checker.ids) == len(set(checker.ids))
    assert {link[1:] for link in checker.links} <= set(checker.ids)
    assert all(load == "" or load.startswith("data:") for load in checker.loads)
    assert page.count("<svg") == 8


def test_the_page_shows_what_a_reader_must_know(page, finished_study):
    for text in (
        "bayesian-1",
        "random-1",
        "small",
        "loss is not finite",
        "sub-99.nii.gz",
        "the gzip &lt;stream&gt; ends",
    ):
        assert text in page
    key = read_json(finished_study.finalists)["networks"][0]["key"]
    assert key in page and "2026-01-01" in page  # the record and the ledger
    assert "<pre>voxnas run fake</pre>" in page
    assert not re.search(
        r"\bnan\b", re.sub(r'data-key="nan"', "", re.sub(r"<(style|script|svg).*?</\1>", "", page, flags=re.S))
    )


def test_comparisons_are_listed_once_and_records_are_tables(page):
    table = re.search(r'<table data-name="comparisons">.*?</table>', page, re.S)[0]
    pairs = re.findall(r'<tr><td data-key="([^"]+)">.*?</td><td data-key="([^"]+)">', table)
    assert len(pairs) == len(set(pairs)) == 5
    assert "<dt>search.budget.amount</dt>" in page
    assert "schema_version&#34;:" not in page


def test_the_methods_cite_what_was_done(page):
    text = re.search(r'<section id="methods">(.*?)</section>', page, re.S)[1]
    for words in (
        "14 scans of the data set fake (layout BIDS [@bids])",
        "a locked test split of 6 and 2 folds",
        "bayesian search [@skopt] and random search [@random]: 4 steps each, 160 samples per trial",
        "hand-made networks small were searched in 4 steps",
        "trained with 2 seeds",
        "versions: torch 2",
    ):
        assert words in text, words
    cited, entries = set(re.findall(r"\[@(\w+)\]", text)), set(re.findall(r"@\w+\{(\w+),", text))
    assert cited == entries and {"holm", "snakemake"} <= entries


def test_every_trial_and_every_case_is_listed(page, finished_study):
    trials = re.search(r'<table data-name="trials".*?</table>', page, re.S)[0]
    assert trials.count("<tr>") == 1 + 12 and "FAILED: loss is not finite" in trials
    cases = re.search(r'<table data-name="cases".*?</table>', page, re.S)[0]
    assert cases.count("<tr>") == 1 + 6 and all(
        f">{name}</th>" in cases for name in ("bayesian-1", "random-1", "small")
    )


def test_a_cut_table_states_its_rows_and_links_the_complete_table(fake_segmentation, write_benchmark, monkeypatch):
    write_benchmark(fake_segmentation)
    for module in ("trials", "cases"):
        monkeypatch.setattr(f"voxnas.report.{module}.MOST_ROWS", 4)
    page = render_report(fake_segmentation)
    assert 'first 4 of 12 rows. Complete: <a href="search/bayesian/trials.tsv">' in page
    assert 'first 4 of 6 rows. Complete: <a href="figures/cases.tsv">' in page


def test_the_front_of_several_objectives_is_listed_with_its_finalists(fake_segmentation, monkeypatch):
    history = results.search_history
    monkeypatch.setattr(results, "search_history", lambda *given: history(*given).assign(front=lambda t: t.score > 0))
    first = results.finalists(fake_segmentation)[:1]
    monkeypatch.setattr(results, "finalists", lambda paths: first)
    table = front_table(fake_segmentation, MEASURES["dice"])
    assert table.rows and {row[-1][0] for row in table.rows} == {"finalist", ""}
    assert all((row[-1][0] == "finalist") == (i in table.marked) for i, row in enumerate(table.rows))


def test_the_costs_are_sums_of_the_measured_times(fake_segmentation):
    spec = read_record(fake_segmentation.spec("report"), ReportSpec)
    table = cost_table(fake_segmentation, spec)
    cpu, energy, carbon = ([row[column][1] for row in table.rows] for column in (3, 4, 5))
    searched, trained = 12 * 12.0 / 3600, 2 * (60 + 61 + 62) / 3600
    assert cpu == pytest.approx([searched, trained, searched + trained])
    assert energy == pytest.approx([0.012 * hours for hours in cpu])
    assert carbon == pytest.approx([0.475 * amount for amount in energy])
    assert {row[2][0] for row in table.rows} == {"\u2013"}  # no wall time is recorded
    next(fake_segmentation.root.glob("search/*/steps/*/run.json")).unlink()
    assert [row[3][0] == "\u2013" for row in cost_table(fake_segmentation, spec).rows] == [True, False, True]


def test_the_title_can_be_set_and_is_escaped(fake_segmentation, write_benchmark):
    write_benchmark(fake_segmentation)
    settings = parse_settings({"study": "fake", "report": {"title": "A <b> study"}})
    write_json(fake_segmentation.spec("report"), stage_spec(settings, "report"))
    write_text(ledger_file(fake_segmentation), "")
    assert "<h1>A &lt;b&gt; study</h1>" in render_report(fake_segmentation)


def test_a_search_in_order_of_arrival_has_no_window(fake_segmentation, write_benchmark):
    write_benchmark(fake_segmentation)
    write_json(fake_segmentation.spec("report"), stage_spec(parse_settings({"study": "fake"}), "report"))
    assert "window of concurrent steps" in render_report(fake_segmentation)
    for file in fake_segmentation.spec("report").parent.glob("search-*.json"):
        spec = read_json(file)
        assert spec["search"].pop("window")
        write_json(file, spec | {"search": spec["search"] | {"order": "arrival"}})
    page = render_report(fake_segmentation)
    assert "of arrival" in page and "window of concurrent steps" not in page


def test_a_separation_of_participants_is_claimed_only_if_it_is_known(fake_segmentation, write_benchmark):
    splits = Splits(test=("a",), folds=(("b",),))
    assert separation(splits, {"identified": True, "doubt": ""}) == "The test split is separated by participant."
    unknown = separation(splits, {"identified": False, "doubt": "2 of 2 scans share"})
    assert "separated by scan" in unknown and "several scans" in unknown and "by participant" not in unknown
    within = Splits(unit="run", within=True, test=("a",), folds=(("b",),))
    assert separation(within, {"identified": False, "doubt": ""}).startswith("A within-participant study")
    write_benchmark(fake_segmentation)
    write_json(fake_segmentation.dataset, read_json(fake_segmentation.dataset) | {"identified": False})
    draw_figures(fake_segmentation, fake_segmentation.figures)
    page = render_report(fake_segmentation)
    assert "separated by scan" in page and "separated by participant" not in page
    assert "On 6 locked test scans bayesian-1 reaches" in page and "6 independent scans and" in page
    assert dict(summary(fake_segmentation))["Test score"].endswith("6 locked scans")


def test_the_sentence_is_honest(fake_segmentation):
    board, comparisons = benchmark(fake_segmentation)
    measure = MEASURES["dice"]
    text = headline(board, comparisons, measure, 0.95, "scan", "participant")
    assert text.startswith("On 6 locked test scans of 6 participants bayesian-1 reaches a mean Dice of")
    assert "95% interval [" in text and "for these trainings only" in text
    assert "It beats every hand-made network (small). The p-values of these comparisons are adjusted by Holm's" in text
    assert re.search(r"\(difference \+0\.\d+ \[.*\], p [<=] 0\.\d+ adjusted by Holm's method\)", text)
    assert "In this run the bayesian search found a better network than random search" in text
    assert "needs at least 3 runs of each" in text
    assert "It is step 0 of the search bayesian: a random draw." in text
    assert "took 60\u00a0s of CPU time; longer trainings may order networks otherwise" in text

    for verdict, words in {
        "indistinguishable": ("cannot distinguish it from small", "found indistinguishable networks"),
        "worse": ("It is worse than small", "random search found a better"),
        "untested": ("could not be tested against small", "could not be tested against each other"),
    }.items():
        said = headline(board, comparisons.assign(verdict=verdict), measure, 0.95, "scan", "participant")
        assert all(word in said for word in words)
        assert ("p-values of these comparisons" in said) == (verdict != "untested")


def test_ids_of_two_figures_never_meet():
    svg = '<?xml version="1.0"?>\n<svg width="1"><g id="a"/><use xlink:href="#a"/><g clip-path="url(#a)"/></svg>'
    one = inline_svg(svg, "front")
    assert one.startswith('<svg aria-hidden="true"') and 'id="front-a"' in one
    assert 'href="#front-a"' in one and "url(#front-a)" in one


@pytest.mark.parametrize("space", sorted((Path(__file__).parents[3] / "config/search_spaces").glob("*.yaml")), ids=str)
def test_every_parameter_of_the_shipped_spaces_is_shown(space):
    raw = yaml.safe_load(space.read_text())
    shown = str(_parameters(raw))
    assert all(name in shown for name in raw["parameters"])
    assert all(operation in shown for operation in raw.get("operations", raw.get("cell", {}).get("operations", [])))


def test_alternative_conditions_are_shown():
    space = {"parameters": {"b": {"choices": [1], "when": [{"a": 1}, {"a": [2, 3], "c": 4}]}}}
    assert _parameters(space).rows[0][2][0] == "a is 1; or a is 2 or 3 and c is 4"
