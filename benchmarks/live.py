"""How fast pages of export.py write in headless Chromium on one core: python benchmarks/live.py outputs/NAME_live.html

For each page, with WebAssembly and without: its size, seconds from opening it to the first character, and seconds per
100 characters, the median over some documents with the fastest and the slowest; on Linux also what the processor
spent on them, with all that Chromium does, which depends less on what else runs on the machine.
"""

import argparse
import contextlib
import os
import shutil
import statistics
import sys
import time
from pathlib import Path

from environment import heading, publish
from playwright.sync_api import Browser, sync_playwright

STANDS = "document.getElementById('spoken').textContent"
POLLING = 20  # milliseconds; every frame of the screen would have Chromium draw each


def main() -> None:
    parser = argparse.ArgumentParser(description="Time how pages of export.py write in Chromium.")
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--documents", type=int, default=20)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if sys.platform == "linux":
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # Chromium inherits it
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        lines = [*heading("Pages that write, in a browser"), f"Chromium {browser.version}, headless, one core.", ""]
        for page in arguments.pages:
            for query, count in (("", arguments.documents), ("&plain", max(1, arguments.documents // 5))):
                lines.append(f"- {measured(browser, page, query, count)}")
        browser.close()
    publish(lines, arguments.output)


def processor_seconds() -> float:
    """Processor time of this process and all that it started; 0 where a system has no /proc."""
    parents, spent = {}, {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            process = int(stat.parent.name)
            parents[process], spent[process] = int(fields[1]), int(fields[11]) + int(fields[12])
    family = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(spent.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK") if spent else 0.0


def measured(browser: Browser, file: Path, query: str, documents: int) -> str:
    """A line for a page: its first `documents` documents, as fast as the engine writes."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(f"{file.resolve().as_uri()}?pace=0{query}")
    page.wait_for_function("document.querySelector('#text span')", timeout=0)
    first = time.perf_counter() - begun
    page.wait_for_function(STANDS, timeout=0, polling=POLLING)
    seconds, spent, characters = [], processor_seconds(), 0
    for _ in range(documents):
        begun = time.perf_counter()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(STANDS, timeout=0, polling=POLLING)
        length = len(page.text_content("#spoken") or "")
        seconds.append((time.perf_counter() - begun) * 100 / length)
        characters += length
    spent = (processor_seconds() - spent) * 100 / characters
    engine = page.evaluate("document.documentElement.dataset.engine")
    context.close()
    return (
        f"{file.name} ({file.stat().st_size / 1e6:.2f} MB), {engine}: first character {first:.2f} s, per 100 characters"
        f" {statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f}, {documents} documents),"
        f" processor {spent:.2f} s"
    )


if __name__ == "__main__":
    main()
