"""The page of minigan report in a real browser: of a run and of two, light and dark, on a telephone and on a desk."""

import pytest
from runfolder import start

from minigan.runs.report import write_report

pytestmark = [pytest.mark.extra, pytest.mark.usefixtures("elsewhere")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1300])
@pytest.mark.parametrize("runs", [1, 2])
def test_the_page_asks_for_nothing_complains_of_nothing_and_fits(runs, width, scheme, browser, copy, tmp_path):
    others = [start(tmp_path / "a-rather-long-name-of-a-run-without-a-blank" / "other", epochs=1, lr_g=0.01)]
    row = '{"step": 2, "epoch": 1, "alarm": "D dead", "saw": "x", "means": "y", "try": "--lr-d 0.0000001"}\n'
    (copy.folder / "alarms.jsonl").write_text(row)
    path = write_report(copy.folder, *(run.folder for run in others[: runs - 1]), out=tmp_path / "page.html", say=None)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    for summary in page.query_selector_all("summary"):
        summary.click()
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert said == []
    sizes = page.evaluate("[...document.images].map(image => image.complete ? image.naturalWidth : 0)")
    assert len(sizes) >= 6
    assert min(sizes) > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(251, 250, 247)", "dark": "rgb(20, 23, 28)"}[scheme]
    page.close()
