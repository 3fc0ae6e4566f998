"""The tables of docs/reference/networks.md match the registry. After a change of a network, run

python tests/golden/test_networks_page.py
"""

from pathlib import Path

from voxnas.arch.baselines.handmade import WIDTHS
from voxnas.arch.families import expand
from voxnas.arch.families.reference import Reference
from voxnas.arch.reference import NETWORKS
from voxnas.complexity.analytic import analyze

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "networks.md"
SIZE = (64, 64, 64)


def grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def networks_table() -> list[str]:
    """One row per network, with one input channel, two output channels and three dimensions."""
    lines = ["| name | for | paper | parameters | 10^9 MACs | options |", "|---|---|---|---:|---:|---|"]
    for name in NETWORKS:
        network, record = NETWORKS[name], Reference(name=name, in_channels=1, out_channels=2)
        cost = analyze(record, SIZE)
        options = ", ".join(f"`{option}`" for option in network.options) or "none"
        tasks = " and ".join(network.tasks)
        row = [f"`{name}`", tasks, network.paper, grouped(cost.parameters), f"{cost.macs / 1e9:.2f}", options]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def counts_table() -> list[str]:
    """One row per published count."""
    lines = ["| name | options | dimensions | channels in, out | parameters | as in |", "|---|---|---|---|---:|---|"]
    for name in NETWORKS:
        for count in NETWORKS[name].counts:
            options = ", ".join(f"{key} = {value}" for key, value in count.options.items())
            channels = f"{count.in_channels}, {count.out_channels}"
            row = [f"`{name}`", options, f"{count.dims}D", channels, grouped(count.parameters), count.source]
            lines.append(f"| {' | '.join(row)} |")
    return lines


def written(page: str) -> str:
    """The page with its tables replaced by those of the registry."""
    for title, lines in (("networks", networks_table()), ("counts", counts_table())):
        begin, end = f"<!-- {title} -->\n", f"\n<!-- end of {title} -->"
        before, rest = page.split(begin)
        page = before + begin + "\n".join(lines) + end + rest.split(end)[1]
    return page


def test_the_page_shows_the_registry() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), __doc__


def test_the_page_lists_every_network_and_width() -> None:
    page = PAGE.read_text()
    assert [name for name in (*NETWORKS, *WIDTHS) if f"`{name}`" not in page] == []


def test_every_builder_says_what_it_is() -> None:
    for name in NETWORKS:
        assert NETWORKS[name].build.__doc__
        assert expand(Reference(name=name, in_channels=1, out_channels=2)).divisor == (1, 1, 1)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
    print(f"wrote {PAGE.name}")
