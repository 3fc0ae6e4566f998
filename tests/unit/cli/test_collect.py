from voxnas.cli.main import main


def board(root, study, text):
    folder = root / study
    folder.mkdir(parents=True)
    (folder / "leaderboard.tsv").write_text(text)


def test_one_table_of_all_studies_with_the_numbers_as_written(tmp_path, capsys):
    board(tmp_path, "b", "name\ttest_score\tdice\tmacs\nunet\t0.8700\t0.9\t12\n")
    board(tmp_path, "a", "name\tdice\tauc\nlinear\t1e-3\t0.50\nresnet\tn/a\t0.91\n")
    (tmp_path / "unfinished").mkdir()
    output = tmp_path / "all.tsv"
    assert main(["collect", "--results", str(tmp_path), "--output", str(output)]) == 0
    assert output.read_text().splitlines() == [
        "study\tname\tdice\tauc\ttest_score\tmacs",
        "a\tlinear\t1e-3\t0.50\tn/a\tn/a",
        "a\tresnet\tn/a\t0.91\tn/a\tn/a",
        "b\tunet\t0.9\tn/a\t0.8700\t12",
    ]
    shown = capsys.readouterr().out
    assert "0.8700" in shown
    assert shown.splitlines()[0].split() == ["study", "name", "macs", "test_score"]
    assert main(["collect", "--results", str(tmp_path)]) == 0
    assert "2 more columns: --output FILE" in capsys.readouterr().out


def test_a_collected_table_is_not_collected_again(tmp_path, capsys):
    board(tmp_path, "a", "name\tdice\nunet\t0.9\n")
    board(tmp_path, "published", "study\tname\tdice\na\tunet\t0.9\n")
    assert main(["collect", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count("unet") == 1


def test_nothing_to_collect_is_one_line(tmp_path, capsys):
    assert main(["collect", "--results", str(tmp_path)]) == 2
    assert "no study in" in capsys.readouterr().err
