import pandas as pd
import pytest

from voxnas.core.errors import ScanError
from voxnas.data.stimuli import describe_delay, event_types, read_events, volume_labels


def table(*rows):
    return pd.DataFrame(rows, columns=["onset", "duration", "trial_type"])


def test_events_are_read_and_sorted(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text("onset\tduration\ttrial_type\tstim\n10\tn/a\tb\t01\n0.5\t2\ta\tn/a\n")
    events = read_events(path)
    assert events["onset"].tolist() == [0.5, 10.0]
    assert events["duration"].tolist() == [2.0, 0.0]
    assert events["stim"].fillna("").tolist() == ["", "01"]
    assert event_types(events, "trial_type", path) == ["a", "b"]
    with pytest.raises(ScanError, match=r"no column 'trialtype' \(data.target\).*did you mean 'trial_type'"):
        event_types(events, "trialtype", path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("onset\ttrial_type\n1\ta\n", "no column 'duration'"),
        ("onset\tduration\n1\t2\nx\t2\n", "row 2: onset is 'x'"),
        ("onset\tduration\nn/a\t2\n", "row 1: onset is None"),
        ("onset\tduration\n1\t-2\n", "row 1: duration is '-2'"),
        ("", "not a tab-separated table"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, words):
    (tmp_path / "events.tsv").write_text(text)
    with pytest.raises(ScanError, match=words):
        read_events(tmp_path / "events.tsv")


def test_a_volume_shows_what_was_on_before_the_delay():
    events = table((4, 4, "a"), (10, 2, "b"))
    assert volume_labels(events, "trial_type", 8, 2.0, 0, 0.0) == [None, None, "a", "a", None, "b", None, None]
    assert volume_labels(events, "trial_type", 8, 2.0, 0, 4.0) == [None, None, None, None, "a", "a", None, "b"]
    # Dropped volumes shift the labels and not the times.
    assert volume_labels(events, "trial_type", 6, 2.0, 2, 0.0) == ["a", "a", None, "b", None, None]


def test_the_delay_is_described_with_the_durations(tmp_path):
    (tmp_path / "events.tsv").write_text("onset\tduration\n1\t20\n30\t22.5\n60\t25\n")
    line = describe_delay([tmp_path / "events.tsv"], 5.0)
    assert "median duration 22.5 s" in line and "labels the volumes 5 s later" in line
    assert "at the same time" in describe_delay([tmp_path / "events.tsv"], 0.0)


def test_an_event_between_volumes_is_given_the_nearest():
    assert volume_labels(table((3.3, 0, "a")), "trial_type", 4, 2.0, 0, 0.0) == [None, None, "a", None]
    assert volume_labels(table((3.3, 0.4, "a")), "trial_type", 4, 2.0, 0, 0.0) == [None, None, "a", None]
    assert volume_labels(table((30, 0, "a")), "trial_type", 4, 2.0, 0, 0.0) == [None] * 4
    assert volume_labels(table((0, 1, "a")), "trial_type", 0, 2.0, 0, 0.0) == []


def test_of_events_at_once_the_one_that_began_last_counts():
    events = table((0, 10, "block"), (4, 2, "probe"), (8, 1, None))
    assert volume_labels(events, "trial_type", 5, 2.0, 0, 0.0) == ["block", "block", "probe", "block", "block"]


def test_rounded_times_hit_the_volume_they_mean():
    events = table((0.3 * 3, 0.9, "a"))
    assert volume_labels(events, "trial_type", 5, 0.9, 0, 0.0) == [None, "a", None, None, None]


def test_the_labels_of_haxby(data_root):
    folder = data_root / "haxby2001_bids"
    truth = pd.read_csv(folder / "volume_labels.tsv", sep="\t")
    for run, rows in truth.groupby("run"):
        events = read_events(folder / f"sub-01/func/sub-01_task-objectviewing_acq-slice_run-{run:02d}_events.tsv")
        found = volume_labels(events, "trial_type", len(rows), 2.5, 0, 0.0)
        assert [label or "rest" for label in found] == rows["label_from_events"].tolist(), run
