"""How fast the contact sheet of a large set is in Chromium: until it is painted, while it scrolls, sorted anew.

The tokens are made up; no model is needed. Figures are medians of three fresh browsers.
"""

import argparse
import math
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from environment import heading, publish
from playwright.sync_api import Page, sync_playwright

from nft.contact_sheet import contact_sheet
from nft.edition import Edition
from nft.formats import SET_FORMAT
from nft.schemas import SetInfo
from nft.traits import bands_of, figures_of

RUNS, STEPS, WHEEL = 3, 120, 500  # browsers; turns of the wheel; pixels of each
# when the main thread has painted the first frame after loading, and the time between frames
WATCH = """
addEventListener("load", () => requestAnimationFrame(() => setTimeout(() => { window.ready = performance.now() })));
window.frames_seen = []; let last = 0;
requestAnimationFrame(function next(now) { frames_seen.push(now - last); last = now; requestAnimationFrame(next) });
"""
# milliseconds from a change of the order to the frame after it
SORT = """() => new Promise(done => {
  const order = document.getElementById("order"), began = performance.now();
  order.selectedIndex = 2; order.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
})"""


def made_up_tokens(count: int) -> list[dict[str, Any]]:
    """Records with what a sheet shows; lengths are spread as those of tweets and reviews."""
    draw = random.Random(0)
    words = ["".join(draw.choices("etaoinshrdlucmfw", k=draw.randint(2, 9))) for _ in range(5000)]
    records = []
    for token in range(1, count + 1):
        text = " ".join(draw.choices(words, k=round(math.exp(draw.gauss(3, 0.6)))))
        figures = {key: round(draw.random(), 6) for key in ("invented", "novelty", "confidence")}
        steps = {"settling": draw.randint(30, 90), "corrections": draw.randint(0, 99)}
        record = {"token_id": token, "text": text, "chars": len(text), "flags": [], **figures, **steps}
        records.append({**record, "traits": figures_of(record)})
    return records


def made_up_edition(count: int) -> Edition:
    """A set of so many tokens, without courses."""
    records = made_up_tokens(count)
    drawn_with = {"format": SET_FORMAT, "identity": {}, "seed": 0, "sampler": {}, "rules": {}, "word_list_sha256": ""}
    info = SetInfo.model_construct(title="Made up", **drawn_with)
    return Edition(info, records, bands_of([record["traits"] for record in records]), [])


def measured(page: Page, address: str) -> dict[str, float]:
    """The figures of one visit."""
    page.add_init_script(WATCH)
    page.goto(address)
    paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
    page.wait_for_function(f"window.ready && {paint}")
    figures = {"first paint, ms": page.evaluate(paint), "painted and idle, ms": page.evaluate("window.ready")}
    page.mouse.move(500, 500)
    page.wait_for_timeout(500)
    page.evaluate("frames_seen.length = 0")
    for _ in range(STEPS):
        page.mouse.wheel(0, WHEEL)
        page.wait_for_timeout(10)
    frames = sorted(page.evaluate("frames_seen"))
    share = [round(at * (len(frames) - 1)) for at in (0.5, 0.95, 1)]
    names = ("frame while scrolling, median, ms", "95th of 100, ms", "slowest, ms")
    figures |= {name: frames[place] for name, place in zip(names, share, strict=True)}
    figures["another order, ms"] = page.evaluate(SORT)
    client = page.context.new_cdp_session(page)
    client.send("Performance.enable")
    used = {metric["name"]: metric["value"] for metric in client.send("Performance.getMetrics")["metrics"]}
    return figures | {"JavaScript, MB": used["JSHeapUsedSize"] / 1e6, "nodes, thousands": used["Nodes"] / 1e3}


def main() -> None:
    """Print the table, and write it if a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=10_000)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    edition = made_up_edition(arguments.tokens)
    began = time.perf_counter()
    sheet = contact_sheet(edition)
    seconds, runs, version = time.perf_counter() - began, [], ""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "index.html")
        path.write_text(sheet, encoding="utf-8")
        for _ in range(RUNS):
            with playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"]) as browser:
                version = browser.version
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                runs.append(measured(page, path.as_uri()))
    lines = [
        *heading("The contact sheet in a browser"),
        f"Chromium {version}, headless, 1440 x 900; {arguments.tokens:,} tokens; {RUNS} browsers.",
        *("", "| figure | median | least | most |", "|---|--:|--:|--:|"),
        f"| size of the page, MB | {len(sheet.encode()) / 1e6:.2f} | | |",
        f"| to make it, s | {seconds:.2f} | | |",
    ]
    for name in runs[0]:
        values = [run[name] for run in runs]
        lines.append(f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} | {max(values):.1f} |")
    publish(lines, arguments.output)


if __name__ == "__main__":
    main()
