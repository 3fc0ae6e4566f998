"""The page in a headless browser: sorting, filtering, downloads and width, light and dark, without a script error."""

import json
import re
import shutil
import subprocess

import pytest

from voxnas.report.html import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
ERRORS = "<script>window.errors = []; addEventListener('error', event => errors.push(event.message));</script>"
PROBE = """
<script>
addEventListener("load", () => {
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
  found.overflow = document.documentElement.scrollWidth - innerWidth;
  found.ink = getComputedStyle(document.querySelector("figure svg text")).fill;
  found.paper = getComputedStyle(document.querySelector("figure")).backgroundColor;
  found.unnamed = [...document.querySelectorAll("[role=img]")].filter(one => (one.getAttribute("aria-label") || "").length < 30).length;
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
    page = render_report(finished_study).replace("<head>", "<head>" + ERRORS).replace("</body>", PROBE + "</body>")
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
    command += ["--virtual-time-budget=5000", f"file://{file}"]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = json.loads(re.search(r"(\{\"tables\".*\})", dom)[1].replace("&lt;", "<"))
    assert found["errors"] == [] and found["unsorted"] == []
    assert found["tables"] >= 5 and found["headings"] > 30 and found["downloads"] and found["unnamed"] == 0
    assert found["overflow"] <= 0
    assert (brightness(found["ink"]) > brightness(found["paper"])) == (scheme == "dark")
