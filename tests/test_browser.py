"""Reports and the site in a browser: whole, quiet, asking nothing of the network, on a phone and on a desk."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import formula_neuro as fn

sys.path.insert(0, str(Path(__file__).parent))
from foci_small import usual

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[1]
SITE = ROOT / "build" / "docs"
WIDTHS = {"phone": 390, "desk": 1280}
# as root in a container, and without a word to the network of its own
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip
EVENTS = {"onset": [10.0, 31, 50, 77], "duration": [1.0] * 4, "trial_type": ["go"] * 4}
SEEN = """() => {
    const root = document.documentElement;
    const heads = [...document.querySelectorAll("h1, h2, h3, h4")].map(head => Number(head.tagName[1]));
    const blank = [...document.images].filter(image => !(image.complete && image.naturalWidth > 0));
    return {
        pictures: document.images.length,
        blank: blank.map(image => image.alt || image.src.slice(0, 80)),
        beyond: Math.max(root.scrollWidth, document.body.scrollWidth) - root.clientWidth,
        heads: [...document.querySelectorAll("h1")].map(head => head.innerText),
        steps: heads.filter((head, i) => head > (heads[i - 1] ?? 0) + 1),
        nameless: [...document.images].filter(image => !image.alt).map(image => image.src.slice(0, 80)),
        empty: [...document.querySelectorAll("h2")].filter(head => /^H2|undefined/.test(
            head.nextElementSibling?.tagName ?? "undefined")).map(head => head.innerText),
        facts: [...document.querySelectorAll("header dl.facts dt")].map(name => name.innerText),
        files: [...document.querySelectorAll("a[download]")].map(file => file.innerText),
    };
}"""


@pytest.fixture
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


def looked_at(browser: Any, path: Path, width: int) -> dict[str, Any]:
    """What a page of that width holds, what it said on the console, and the addresses it asked for beside itself."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"not loaded: {request.url[:200]}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.resolve().as_uri())
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    seen: dict[str, Any] = page.evaluate(SEEN)
    page.close()
    own = path.resolve().as_uri()
    others = [url for url in asked if url.split("#")[0] != own and not url.startswith("data:")]
    return seen | {"said": said, "others": others}


# ---- reports -------------------------------------------------------------------------------------
def of_table() -> Any:
    return fn.fit("dff ~ lick + (1|mouseID)", fn.datasets.waterlick())


def of_separated_table() -> Any:
    data = {"y": [0] * 6 + [1] * 6, "x": range(12), "g": list("ab") * 6}
    return fn.fit("y ~ x + g", data, family="binomial")


def of_maps() -> Any:
    images = fn.simulate_lesions(120, reference=fn.lesion_reference(spacing=10), seed=3).images
    return fn.fit("lesion ~ age", images, family="binomial(probit)", estimator="mean_br")


def of_design() -> Any:
    return fn.optimize_design(
        "~ hrf(trial_type) + cosine(60)", EVENTS, tr=2.0, volumes=60, contrast="go", columns=2, hrf=fn.HalfCosine(n=8)
    )


def of_simulation() -> Any:
    return fn.simulate("hopf", fn.Connectome.simulate(10), duration="30 s", every="10 ms", bold=True, seed=1)


def of_exploration() -> Any:
    sets = {"x_ext": [0.0, 0.5, 1.0], "tau": [10, 15, 20]}
    return fn.explore("fhn", sets, duration="100 ms", seed=1)


def of_evolution() -> Any:
    bounds = {"x": (-2, 2), "y": (-2, 2)}
    return fn.evolve(lambda p: p.x**2 + p.y**2, bounds, population=12, initial=24, generations=4, seed=1)


REPORTED = (of_table, of_separated_table, of_maps, usual, of_design, of_simulation, of_exploration, of_evolution)
NAMES = ("table", "separated table", "maps", "foci", "design", "simulation", "exploration", "evolution")


@pytest.mark.parametrize("make", REPORTED, ids=NAMES)
def test_a_report_is_whole_in_a_browser_at_every_width(make: Callable[[], Any], browser: Any, tmp_path: Path) -> None:
    path = Path(make().report(tmp_path / "report.html"))
    for width in WIDTHS.values():
        seen = looked_at(browser, path, width)
        assert seen["said"] == [] and seen["others"] == []
        assert seen["pictures"] > 0 and seen["blank"] == []
        assert seen["beyond"] <= 0, f"wider than a window of {width} pixels"
        assert len(seen["heads"]) == 1 and seen["files"]
        assert {"formula_neuro", "made"} <= set(seen["facts"]) and {"backend", "method"} & set(seen["facts"])
        assert seen["steps"] == [] and seen["nameless"] == [] and seen["empty"] == []


def test_the_browser_test_sees_what_is_wrong_with_a_page(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<h1>a</h1><img src='absent.png' alt='lost'><div style='width:900px'>wide</div><script>nothing()</script>"
    )
    seen = looked_at(browser, path, WIDTHS["phone"])
    assert seen["blank"] == ["lost"] and seen["beyond"] > 0
    assert len(seen["others"]) == 1 and any("nothing" in text for text in seen["said"])


# ---- the site ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ./dev docs made, or else the same pages made now, their vignettes not run."""
    if (SITE / "docs" / "index.html").exists():
        return SITE
    if not all(map(find_spec, ("sphinx", "furo", "myst_nb"))):
        if os.environ.get("FN_REQUIRE_BROWSER") == "1":
            pytest.fail("FN_REQUIRE_BROWSER is set, and neither build/docs nor sphinx to make it (extra docs) is there")
        pytest.skip("build/docs is not there, and neither is sphinx to make it (extra docs)")
    made = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-D", "nb_execution_mode=off", "-c", "docs", ".", str(made)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return made


@pytest.mark.timeout(900)  # some forty pages at two widths, after making them: minutes on a busy machine
def test_every_page_of_the_site_is_whole_in_a_browser(browser: Any, site: Path) -> None:
    pages = sorted(page for page in site.rglob("*.html") if "_modules" not in page.parts)
    assert len(pages) > 10
    found = [
        (page.name, width, wrong(looked_at(browser, page, width), site)) for page in pages for width in WIDTHS.values()
    ]
    assert [one for one in found if one[2]] == []


def wrong(seen: dict[str, Any], site: Path) -> list[str]:
    """What a page of the site should not have."""
    home = site.resolve().as_uri()
    found = [*seen["said"], *(url for url in seen["others"] if not url.startswith(home)), *seen["blank"]]
    return found + ([f"{seen['beyond']} pixels too wide"] if seen["beyond"] > 0 else [])
