#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""browse_report.py ATTEST OUT: makes a run that fails, opens its report.html in a headless Chromium
and uses it.  Ends with `N passed, N failed, N skipped`; pictures of the page lie in OUT."""
import os
import subprocess
import sys
import tempfile
import traceback

from browser import Browser

ATTEST, OUT = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>"


def visible(selector):
    return f"[...document.querySelectorAll({selector!r})].filter(e => e.checkVisibility())"


def tab_to(page, element):
    for _ in range(60):
        page.press("Tab")
        if page.run(f"document.activeElement.id === {element!r}"):
            return
    raise AssertionError(f"the keyboard does not reach {element}")


def the_verdict_is_the_heading(page):
    assert page.run("document.querySelector('h1').textContent").startswith("FAIL, ")
    assert page.run("document.title").startswith("attest: FAIL, ")


def a_failure_shows_its_diagnosis_and_the_line_that_repeats_it(page):
    first = page.run(f"{visible('#failures article')}[0].innerText")
    assert "causal_top_left" in first and "first bad" in first, first
    lines = page.run(f"{visible('#failures .repro')}.map(e => e.textContent)")
    assert lines and all(line.startswith("attest repro '") for line in lines), lines


def the_repro_of_the_worst_variant_is_there_without_a_click_and_copied_by_one(page):
    assert page.run(f"{visible('#failures .copy')}.length") > 0
    page.run("document.querySelector('#failures .copy').click()")
    assert page.run("getSelection().toString().startsWith('attest repro')")


def the_filter_works_by_keyboard_and_is_kept_in_the_address(page):
    before = page.run(f"{visible('#variants tbody tr')}.length")
    tab_to(page, "f-variant")
    page.type("causal_top")
    assert page.run(f"{visible('#variants tbody tr')}.length") == 1 < before
    assert "variant=causal_top" in page.run("location.hash")
    tab_to(page, "f-verdict")
    page.press("End")
    kept = page.run("location.hash")
    assert "verdict=" in kept, kept
    page.run("document.getElementById('filter').reset()")
    page.run("new Promise(r => setTimeout(r, 50))")
    assert page.run("location.hash") == ""
    assert page.run(f"{visible('#variants tbody tr')}.length") == before
    page.run(f"location.hash = {kept!r}")
    page.run("new Promise(r => setTimeout(r, 50))")
    assert page.run("document.getElementById('f-variant').value") == "causal_top"
    page.run("document.getElementById('filter').reset()")
    page.run("new Promise(r => setTimeout(r, 50))")


def sorting_says_so_and_sorts_by_number(page):
    fail = "document.querySelectorAll('#variants th')[7]"
    for want in ("ascending", "descending"):
        page.run(f"{fail}.querySelector('button').focus()")
        page.press("Enter")
        assert page.run(f"{fail}.getAttribute('aria-sort')") == want
        counts = page.run("[...document.querySelectorAll('#variants tbody tr')]"
                          ".map(r => +r.children[7].textContent)")
        assert counts == sorted(counts, reverse=want == "descending"), counts
    assert page.run("document.querySelector('#variants tbody th').textContent") == "causal_top_left"


def tables_have_captions_and_heads_and_controls_have_names(page):
    assert page.run("[...document.querySelectorAll('table')]"
                    ".every(t => t.caption && t.querySelector('th[scope=col]'))")
    assert page.run("[...document.querySelectorAll('input,select')].every(e => e.labels.length)")
    assert page.run("document.querySelectorAll('main').length") == 1
    assert page.run("document.querySelectorAll('nav[aria-label]').length") == 1


def a_phone_scrolls_tables_and_not_the_page(page):
    page.size(390, 844)
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.picture(os.path.join(OUT, "report-narrow.png"))
    page.size(1280)


def it_is_drawn_light_and_dark(page):
    backs = []
    for name in ("light", "dark"):
        page.scheme(name)
        page.run("scrollTo(0, 0)")
        backs.append(page.run("getComputedStyle(document.body).backgroundColor"))
        page.picture(os.path.join(OUT, f"report-{name}.png"))
        page.run("document.getElementById('variants').scrollIntoView()")
        page.picture(os.path.join(OUT, f"report-{name}-variants.png"))
    assert backs[0] != backs[1], backs


def names_with_markup_are_text(page):
    assert page.run("document.title").startswith("attest: ")
    assert page.run("document.querySelectorAll('script').length") == 1
    assert page.run("document.querySelectorAll('img').length") == 0
    assert HOSTILE in page.run("document.body.textContent")


def a_needle_shows_depth_by_length_and_quality_beside_cost(page):
    cells = page.run("[...document.querySelectorAll('#depths td')].map(e => e.className)")
    assert cells and any("h10" in c for c in cells) and any("h0" in c for c in cells), cells
    points = page.run("[...document.querySelectorAll('.point title')].map(e => e.textContent)")
    assert any("sliding_window" in p for p in points), points
    best = page.run("[...document.querySelectorAll('figure p code')].map(e => e.textContent)")
    assert best == ["flash_f32", "sliding_window"], best
    page.run("document.querySelectorAll('details').forEach(d => {d.open = true})")
    for name, place in (("depths", "depths"), ("quality", "variants"), ("probes", "probes")):
        page.run(f"document.getElementById('{place}').scrollIntoView()")
        page.picture(os.path.join(OUT, f"report-{name}.png"))


def nothing_was_asked_of_the_network_and_nothing_went_wrong(page):
    assert all(url.startswith(("file:", "data:")) for url in page.requests), page.requests
    assert not page.errors, page.errors


def make_run(folder):
    done = subprocess.run([ATTEST, "run", "--suite", "smoke", "--kernel", "zoo:causal_top_left",
                           "--kernel", "flash_f32", "--kernel", "sliding_window*", "--quiet",
                           "--out", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False)
    assert done.returncode == 1, f"attest run ends with {done.returncode}"
    return os.path.join(folder, "latest")


def make_probes(folder):
    done = subprocess.run(
        [ATTEST, "run", "--quiet", "--out", folder] +
        [word for kernel in ("flash_f32", "sliding_window") for length in (256, 1024)
         for word in ("--case", f"probe.needle {kernel} len={length}")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, f"attest run ends with {done.returncode}"
    return os.path.join(folder, "latest")


def make_hostile(run, folder):
    """The same result with a reason and a name full of markup, reported again."""
    with open(os.path.join(run, "result.json"), encoding="utf-8") as f:
        text = f.read()
    word = HOSTILE.replace("/", "\\/")
    with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as f:
        f.write(text.replace("causal_top_left", word))
    subprocess.run([ATTEST, "report", "--only", "html", folder], check=True,
                   stdout=subprocess.DEVNULL)


def main():
    os.makedirs(OUT, exist_ok=True)
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(os.path.join(folder, "runs"))
        make_hostile(run, folder)
        probes = make_probes(os.path.join(folder, "probes"))
        tests = [(run, (the_verdict_is_the_heading,
                        a_failure_shows_its_diagnosis_and_the_line_that_repeats_it,
                        the_repro_of_the_worst_variant_is_there_without_a_click_and_copied_by_one,
                        the_filter_works_by_keyboard_and_is_kept_in_the_address,
                        sorting_says_so_and_sorts_by_number,
                        tables_have_captions_and_heads_and_controls_have_names,
                        a_phone_scrolls_tables_and_not_the_page, it_is_drawn_light_and_dark,
                        nothing_was_asked_of_the_network_and_nothing_went_wrong)),
                 (probes, (a_needle_shows_depth_by_length_and_quality_beside_cost,
                           nothing_was_asked_of_the_network_and_nothing_went_wrong)),
                 (folder, (names_with_markup_are_text,
                           nothing_was_asked_of_the_network_and_nothing_went_wrong))]
        page = Browser()
        try:
            for place, sentences in tests:
                page.size(1280)
                page.open("file://" + os.path.realpath(place) + "/report.html")
                for sentence in sentences:
                    try:
                        sentence(page)
                        passed += 1
                    except (AssertionError, RuntimeError):
                        failed += 1
                        print(sentence.__name__)
                        traceback.print_exc(file=sys.stdout)
        finally:
            page.close()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
