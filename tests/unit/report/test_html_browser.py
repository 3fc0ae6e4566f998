"""The page in a headless browser: sorting, filtering, downloads and width, light and dark, without a script error."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from voxnas.report.html import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
ERRORS = "<script>window.errors = []; addEventListener('error', event => errors.push(event.message));"
ERRORS += "addEventListener('unhandledrejection', event => errors.push(String(event.reason)));</script>"
AXE = Path(__file__).parents[2] / "vendor" / "axe-4.10.2.min.js"
PROBE = """
<script>
addEventListener("load", async () => {
  const unsorted = [], found = {tables: 0, headings: 0};
  for (const table of document.querySelectorAll("table")) {
    found.tables += 1;
    for (const button of table.querySelectorAll("th button")) {
      const head = button.parentElement, numbers = [];
      found.headings += 1;
      for (const direction of ["descending", "ascending"]) {
        button.click();
        if (head.getAttribute("aria-sort") !== direction) unsorted.push(table.dataset.name + " " + head.textContent);
        const keys = [...table.tBodies[0].rows].map(row => Number(row.cells[head.cellIndex].dataset.key));
        if (keys.every(key => !Number.isNaN(key)) && keys.some((key, i) => i && (direction === "descending" ? key > keys[i - 1] : key < keys[i - 1])))
          unsorted.push(table.dataset.name + " " + head.textContent + " " + direction);
      }
    }
  }
  const input = document.querySelector(".tools input");
  if (input) {
    input.value = "bayesian failed"; input.dispatchEvent(new Event("input"));
    found.filtered = input.nextElementSibling.textContent;
  }
  document.querySelectorAll(".tools a").forEach(link => { link.addEventListener("click", event => event.preventDefault()); link.click(); });
  found.downloads = [...document.querySelectorAll(".tools a")].every(link => link.href.startsWith("blob:"));
  found.ink = getComputedStyle(document.querySelector("figure svg text")).fill;
  found.paper = getComputedStyle(document.querySelector("figure")).backgroundColor;
  const viewer = document.getElementById("viewer"), get = name => viewer.querySelector(`[data-part=${name}]`);
  const until = async test => { for (let i = 0; i < 200 && !test(); i++) await new Promise(done => setTimeout(done, 20)); };
  if (viewer) {
    const coloured = () => ["axial", "coronal", "sagittal"].map(plane => {
      const {width, height} = get(plane), pixels = get(plane).getContext("2d").getImageData(0, 0, width, height).data;
      let count = 0;
      for (let i = 0; i < pixels.length; i += 4) count += Math.abs(pixels[i] - pixels[i + 2]) > 20;
      return count;
    });
    await until(() => viewer.dataset.open);
    found.opened = [viewer.dataset.open]; found.overlaid = coloured();
    for (const name of ["truth", "prediction"]) get(name).click();
    found.bare = coloured();
    get("scan").value = "2"; get("scan").dispatchEvent(new Event("change"));
    await until(() => viewer.dataset.open !== found.opened[0]);
    found.opened.push(viewer.dataset.open);
    const box = get("axial").getBoundingClientRect();
    get("axial").dispatchEvent(new MouseEvent("click", {clientX: box.left + 1, clientY: box.bottom - 1}));
    get("axial-slice").value = 0; get("axial-slice").dispatchEvent(new Event("input"));
    found.place = get("place").textContent; found.named = get("sagittal").getAttribute("aria-label");
  }
  found.unnamed = [...document.querySelectorAll("[role=img]")].filter(one => (one.getAttribute("aria-label") || "").length < 30).length;
  if (window.axe) {
    const serious = (await axe.run()).violations.filter(one => ["serious", "critical"].includes(one.impact));
    found.violations = serious.map(one => `${one.id}: ${one.nodes.slice(0, 3).map(node => node.html.slice(0, 120))}`);
  }
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  const probe = document.createElement("pre");
  probe.id = "probe"; probe.textContent = JSON.stringify({...found, unsorted, errors});
  document.body.append(probe);
});
</script>
"""  # noqa: E501


def brightness(colour):
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_the_page_works_in_a_browser(finished_study, tmp_path, width, scheme):
    file = tmp_path / "report.html"
    scripts = f"{ERRORS}<script>{AXE.read_text(encoding='utf-8')}</script>"
    page = render_report(finished_study)
    assert len(page.encode()) < 5e6
    page = page.replace("<head>", "<head>" + scripts).replace("</body>", PROBE + "</body>")
    # The window of headless Chromium is at least 500 px wide; a frame can be narrower.
    frame = f'<iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>'
    script = "onmessage = event => document.body.append(event.data)"
    file.write_text(f"<meta name='color-scheme' content='light dark'><body>{frame}<script>{script}</script></body>")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    options += [f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"]
    (tmp_path / "page.html").write_text(
        page.replace("document.body.append(probe);", "parent.postMessage(probe.textContent, '*');")
    )
    command = [CHROMIUM, *options, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000"]
    command += ["--virtual-time-budget=20000", f"file://{file}"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = json.loads(re.search(r"(\{\"tables\".*\})", dom)[1].replace("&lt;", "<"))
    assert found["errors"] == [] and found["unsorted"] == [] and found["violations"] == []
    assert found["tables"] >= 5 and found["headings"] > 30 and found["downloads"] and found["unnamed"] == 0
    assert found["overflow"] <= 0
    if finished_study.figures.joinpath("viewer.json").exists():
        assert len(set(found["opened"])) == 2 and min(found["overlaid"]) > 100 and max(found["bare"]) == 0
        assert found["place"].startswith("x 0.0, y 0.0, z 0.0 mm") and found["named"].endswith("A at the right")
        assert found["filtered"] == "1 of 12 rows"
    assert (brightness(found["ink"]) > brightness(found["paper"])) == (scheme == "dark")
