"""Display of a study's progress in a terminal."""

import time
from pathlib import Path
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from voxnas.core.measures import Measure
from voxnas.operate.progress import Watcher
from voxnas.operate.snapshot import Best, Cost, Failure, Running, Search, Snapshot

SHOWN = 8  # entries of a long list
MARKS = {"done": ("✓", "green"), "running": ("●", "cyan"), "failed": ("✗", "bold red"), "waiting": ("·", "dim")}
STATES = {"finished": "green", "running": "cyan", "failed": "bold red", "quiet": "yellow"}


def show_once(watcher: Watcher, console: Console) -> None:
    """Print the present state once."""
    picture = draw(watcher.look())
    if console.is_terminal:
        console.print(picture)
        return
    with console.capture() as text:
        console.print(picture)
    for line in text.get().splitlines():  # without the padding of a terminal's lines
        print(line.rstrip())


def show_live(watcher: Watcher, console: Console, seconds: float) -> None:
    """Update the display in place every `seconds` until the study is finished or Ctrl-C is pressed."""
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        try:
            while True:
                snapshot = watcher.look()
                live.update(draw(snapshot, seconds), refresh=True)
                if snapshot.state == "finished":
                    return
                time.sleep(seconds)
        except KeyboardInterrupt:
            return


def draw(snapshot: Snapshot, seconds: float | None = None) -> RenderableType:
    """Draw the state of a study.

    Parameters
    ----------
    snapshot : Snapshot
    seconds : float, optional
        Interval between updates; None for a single picture.
    """
    # The list of trainings may be long; what a small screen cuts off is least important.
    parts: list[RenderableType] = [_head(snapshot, seconds), _bar(snapshot), Text(), _stages(snapshot)]
    if snapshot.best:
        parts += [_title("Best so far"), _best(snapshot.best, snapshot.measure)]
    if snapshot.jobs_failed:
        parts += [_title("Failed jobs", "bold red"), _failures(snapshot.jobs_failed)]
    if snapshot.trials_failed:
        parts += [_title("Failed trials, which the search learns from"), _failures(snapshot.trials_failed)]
    if snapshot.running:
        parts += [_title("Trainings"), _running(snapshot.running, snapshot.measure)]
    parts += [_title("Cost of the trainings"), _cost(snapshot)]
    if snapshot.unreadable:
        parts += [Text(), _unreadable(snapshot.unreadable)]
    return Group(*parts)


def _head(snapshot: Snapshot, seconds: float | None) -> RenderableType:
    ago = f"{duration(snapshot.quiet)} ago"
    states = {"quiet": f"nothing runs; last change {ago}", "failed": f"stopped {ago}"}
    state = states.get(snapshot.state, snapshot.state)
    left = Text.assemble((snapshot.name, "bold"), "  ", (state, STATES[snapshot.state]))
    right = time.strftime("%H:%M:%S") + (f", every {seconds:g} s" if seconds else "")
    table = Table.grid(expand=True)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_row(left, right)
    if snapshot.state in ("quiet", "failed"):
        hint = f"to continue once no Snakemake runs: voxnas resume {snapshot.name}"
        return Group(table, Text(hint, style="dim"))
    return table


def _bar(snapshot: Snapshot) -> RenderableType:
    """Bar of the cost of all trainings, with the time left."""
    share = snapshot.cost.share
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(ProgressBar(completed=100 * share, width=40), f"{share:.0%}", time_left(snapshot))
    return table


def time_left(snapshot: Snapshot) -> str:
    """State the time that the remaining trainings take, as far as it is known; empty without remaining trainings."""
    cost = snapshot.cost
    if not cost.to_come:
        return ""
    if cost.left is None:
        return "no estimate before the first training"
    return "" if cost.wall is None else f"about {duration(cost.wall)} left"


def best_score(best: Best, measure: Measure | None) -> str:
    """State a validation score in natural units with the name of its measure."""
    if measure is None:
        return f"{best.score:.4f}"
    return f"validation {measure.title} {measure.sign * best.score:.{measure.digits}f}"


def _title(text: str, style: str = "bold") -> RenderableType:
    return Group(Text(), Text(text, style=style, no_wrap=True, overflow="ellipsis"))


def _stages(snapshot: Snapshot) -> RenderableType:
    rows = []
    width = max([len("preprocess"), *(2 + len(search.name) for search in snapshot.searches)])
    for stage in snapshot.stages:
        mark, style = MARKS[stage.state]
        if stage.state == "running" and snapshot.state != "running":
            style = "yellow"
        name = Text(stage.name.ljust(width), style="dim" if stage.state == "waiting" else "")
        rows.append(Text.assemble(" ", (mark, style), " ", name, "  ", (stage.note, "" if stage.note else "dim")))
        if stage.name == "search":
            rows += [_search(search, width, snapshot) for search in snapshot.searches]
    for row in rows:
        row.no_wrap, row.overflow = True, "ellipsis"
    return Group(*rows)


def _search(search: Search, width: int, snapshot: Snapshot) -> Text:
    done = _done(search).ljust(max(len(_done(other)) for other in snapshot.searches))
    sign = snapshot.measure.sign if snapshot.measure else 1
    text = Text.assemble("     ", (search.name.ljust(width - 2), "dim"), "  ", (done, "dim"))
    if search.best:
        text.append(f"  best {sign * search.best.score:7.4f}")
    for number, state, style in (
        (search.running, "running", "cyan"),
        (search.queued, "queued", ""),
        (search.failed, "failed", "yellow"),
    ):
        if number:
            text.append(f"  {number} {state}", style=style)
    return text


def _done(search: Search) -> str:
    return f"{search.done}" if search.steps is None else f"{search.done}/{search.steps}"


def _running(trainings: list[Running], measure: Measure | None) -> RenderableType:
    sign = measure.sign if measure else 1
    rows = [("training", "host:process", "samples", "score", "left", Text("last sign"))]
    for training in trainings[: 2 * SHOWN]:
        left = training.seconds_left if training.alive else None
        rows.append(
            (
                training.name,
                f"{training.host}:{training.pid}",
                f"{training.samples:,}/{training.goal:,}" if training.samples else "begins",
                "" if training.score is None else f"{sign * training.score:.4f}",
                "" if left is None else duration(left),
                _last_sign(training),
            )
        )
    table = Table.grid(padding=(0, 2, 0, 0))
    columns: list[Literal["left", "right"]] = ["left", "left", "right", "right", "right", "left"]
    for number, justify in enumerate(columns):
        # On a narrow terminal names are truncated, numbers are not.
        width = None if number < 2 else max(len(row[number]) for row in rows)
        table.add_column(justify=justify, no_wrap=True, overflow="ellipsis", min_width=width)
    table.add_row(*rows[0], style="dim")
    for row, training in zip(rows[1:], trainings, strict=False):
        table.add_row(*row, style="" if training.alive else "dim")
    return _indented(table, _more(len(trainings), 2 * SHOWN))


def _last_sign(training: Running) -> Text:
    ago = f"{duration(training.silent)} ago"
    if not training.alive:
        return Text(f"{ago}, stale", style="yellow")
    return Text(ago, style="yellow" if training.silent > 60 else "dim")


def _best(best: Best, measure: Measure | None) -> RenderableType:
    costs = f"{count(best.parameters)} parameters, {count(best.macs)} multiply-adds"
    config = ", ".join(f"{name} {_value(value)}" for name, value in best.config.items())
    score = f"{best.trial}: {best_score(best, measure)}, {costs}"
    return _indented(Text(score), Text(config, style="dim") if config else None)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _failures(failures: list[Failure]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for failure in failures[-SHOWN:]:
        reason = Text(" ".join(failure.reason.split()) or "no recorded reason")
        if failure.log is not None:
            reason.append(f"  {failure.log}", style="dim")
        table.add_row(failure.name, reason)
    return _indented(table, _more(len(failures), SHOWN))


def _cost(snapshot: Snapshot) -> RenderableType:
    cost = snapshot.cost
    lines = [Text(f"spent  {seconds_of(cost.spent)}, {cost.finished} trained to the end")]
    if cost.to_come or snapshot.state != "finished":
        lines.append(Text(_left(cost, snapshot.state)))
    if cost.left:
        lines.append(Text("steps at the mean of those done, final trainings at their network's rate", style="dim"))
    return _indented(*lines)


def _left(cost: Cost, state: str) -> str:
    if not cost.to_come:
        return "left   no training"
    trainings = f"{cost.to_come} training" + ("s" if cost.to_come > 1 else "")
    if cost.left is None:
        return f"left   {trainings}; no estimate before the first training has finished"
    text = f"left   about {seconds_of(cost.left)} for {trainings}"
    if cost.wall is not None and state == "running":
        text += f": {duration(cost.wall)}, {'one at a time' if cost.at_once == 1 else f'{cost.at_once} at once'}"
    return text


def _unreadable(files: list[Path]) -> Text:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return Text(f"cannot be read: {files[0]}{more}", style="yellow")


def _more(number: int, shown: int) -> Text | None:
    return Text(f"and {number - shown} more", style="dim") if number > shown else None


def _indented(*parts: RenderableType | None) -> RenderableType:
    return Padding(Group(*(part for part in parts if part is not None)), (0, 0, 0, 3))


def duration(seconds: float) -> str:
    """Format a duration in at most two units.

    Examples
    --------
    >>> [duration(s) for s in (3.4, 75, 3700, 200_000)]
    ['3 s', '1 min 15 s', '1 h 1 min', '2 d 7 h']
    """
    rest = round(seconds)
    for size, unit, smaller, low in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if rest >= size:
            big, small = divmod(rest, size)
            small //= smaller
            return f"{big} {unit}" + (f" {small} {low}" if small else "")
    return f"{rest} s"


def seconds_of(seconds: float) -> str:
    """Format a cost in CPU seconds; a long one also in CPU hours.

    Examples
    --------
    >>> seconds_of(12.3), seconds_of(36000)
    ('12 CPU s', '36,000 CPU s (10.0 CPU hours)')
    """
    text = f"{seconds:,.0f} CPU s"
    return f"{text} ({seconds / 3600:,.1f} CPU hours)" if seconds >= 3600 else text


def count(number: int) -> str:
    """Format a count with three significant digits.

    Examples
    --------
    >>> count(950), count(40116), count(4_290_000_000)
    ('950', '40.1 k', '4.29 G')
    """
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
