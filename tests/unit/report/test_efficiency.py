from voxnas.io.records import read_json, write_json
from voxnas.report.efficiency import read_efficiency
from voxnas.report.figures import draw_figures
from voxnas.report.html import render_report


def test_a_comparison_has_figures_and_a_page_of_its_own(fake_study, write_benchmark):
    paths = fake_study
    write_json(paths.finalists, {**read_json(paths.finalists), "searches": {}})
    write_benchmark(paths)
    network = read_json(paths.finalists)["networks"][1]
    profile = paths.network(network["key"]) / "profile.json"
    write_json(profile, {**read_json(profile), "energy": {"inference": 0.5, "training": None}})
    names = draw_figures(paths, paths.figures)
    assert {"efficiency", "equal_cost"} <= set(names) and not {"best_so_far", "front"} & set(names)
    table = read_efficiency(paths).set_index("name")
    assert table.loc["random-1", "energy_inference_j"] == 0.5 and table.energy_train_j.isna().all()
    page = render_report(paths)
    assert "Comparison of networks" in page and "Architecture search" not in page
    assert "energy of a prediction" in page and "MACs of one patch" in page
