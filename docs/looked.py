"""Looks at every page that was built, in Chromium, as wide as a desk's screen and as a phone's, in light and in dark.

    python docs/looked.py docs/_build/html                          # all pages; with faults, exit code 1
    python docs/looked.py docs/_build/html conv api --shots FOLDER  # these alone, and a picture of each

Wrong are: what is cut or stands out of its column, and cannot be scrolled; on the wide screen also a formula or a table
that must be scrolled; words in code that are underlined as links are; code without a button to copy it; a name of the
reference without a link to its source; a picture that does not come; errors in the console; requests that fail.
It needs the package playwright, and Chromium or Chrome.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {1300: 900, 390: 844}  # pixels: width and height of the window
HEIGHT, TALLEST = "() => document.documentElement.scrollHeight", 8000  # pixels of a page in a picture

#: What is wrong with a page as it is shown now, each as a line.
LOOK = r"""
(wide) => {
  const found = [], told = [], hang = 9;  // pixels: titles and signatures hang out by half a rem
  const text = (e) => (e.alt || e.textContent).trim().replace(/\s+/g, " ").slice(0, 60);
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  const tell = (e, words) => {
    if (told.some((other) => other.contains(e))) return;
    told.push(e);
    found.push(`${e.tagName.toLowerCase()} “${text(e)}” ${words}`);
  };
  const article = document.querySelector("article");
  const column = article.getBoundingClientRect();
  for (const e of article.querySelectorAll("p, li, dt, h1, h2, h3, table, pre, img, svg, mjx-container, div.math")) {
    const box = e.getBoundingClientRect();
    if (!box.width || e.closest("mjx-assistive-mml, .sr-only, svg svg, button")) continue;
    let around = e;
    while (around !== article && getComputedStyle(around).overflowX === "visible") around = around.parentElement;
    const over = around === e ? 0 : Math.round(box.right - around.getBoundingClientRect().right);
    const below = Math.round(e.scrollHeight - e.clientHeight);
    if (around === article ? box.right > column.right + hang : !scrolls(around) && over > 1)
      tell(e, `is cut, or stands out, by ${Math.round(box.right - column.right)} px`);
    else if (wide && around !== e && over > 1 && e.matches("table, mjx-container"))
      tell(e, `must be scrolled, by ${over} px`);
    if (e.matches("div.math") && scrolls(e) && below > 1 && getComputedStyle(e).overflowY !== "hidden")
      tell(e, `scrolls up and down, by ${below} px`);
    if (e.tagName === "IMG" && !e.naturalWidth) tell(e, "is a picture that has not come");
  }
  if (document.documentElement.scrollWidth > window.innerWidth)
    found.push(`the page is ${document.documentElement.scrollWidth} px wide`);
  for (const e of article.querySelectorAll("pre span"))
    if (getComputedStyle(e).textDecorationLine === "underline" && !e.closest("a")) tell(e, "looks like a link");
  for (const e of article.querySelectorAll("div.highlight"))
    if (!e.querySelector("button.copybtn") && !e.closest(".cell_output, .sphx-glr-script-out"))
      tell(e, "has no button to copy it");
  for (const e of article.querySelectorAll("dl.py:is(.class, .function, .method, .exception) > dt"))
    if (!e.querySelector(".viewcode-link")) tell(e, "has no link to its source");
  return found;
}
"""


def look(page, path, shots):
    """["width light|dark: what is wrong"] of one page."""
    found, wrong = [], []
    page.on(
        "console", lambda message: message.type in ("error", "warning") and wrong.append(f"console: {message.text}")
    )
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("requestfailed", lambda request: wrong.append(f"does not come: {request.url}"))
    page.goto(path.as_uri())
    page.evaluate("() => window.MathJax ? MathJax.startup.promise : null")
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            page.evaluate("() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
            found += [f"{width} {colours}: {line}" for line in page.evaluate(LOOK, width == max(SIZES))]
            if shots:
                shots.mkdir(parents=True, exist_ok=True)
                top = {"x": 0, "y": 0, "width": width, "height": min(TALLEST, page.evaluate(HEIGHT))}
                page.screenshot(path=shots / f"{path.stem}-{width}-{colours}.png", full_page=True, clip=top)
    return [*found, *wrong]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("built", type=Path)
    parser.add_argument("pages", nargs="*", help="names without .html; all if there is none")
    parser.add_argument("--shots", type=Path)
    asked = parser.parse_args()
    built = asked.built.resolve()
    every = {path.relative_to(built).with_suffix("").as_posix(): path for path in sorted(built.rglob("*.html"))}
    pages = asked.pages or [name for name in every if not name.startswith("_")]  # _modules, _static
    if not pages or (unknown := [name for name in pages if name not in every]):
        sys.exit(f"{built} has no page {', '.join(unknown) if pages else 'at all'}")
    worst = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium") or shutil.which("google-chrome"))
        for name in pages:
            page = browser.new_page()
            found = look(page, every[name], asked.shots)
            page.close()
            worst += len(found)
            for line in found:
                print(f"{name} {line}", flush=True)
        browser.close()
    print(f"{len(pages)} pages looked at, {worst} faults")
    sys.exit(1 if worst else 0)


if __name__ == "__main__":
    main()
