"""The page in a real browser: what it draws, how it is used, and that it asks for nothing."""

import shutil
from pathlib import Path

import pytest
from pages import HOSTILE, group, made, written

pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="no browser: playwright is not installed"
)

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--no-sandbox", "--disable-background-networking", "--disable-component-update"),
    *("--no-first-run", "--disable-sync", "--disable-gpu"),
)
UNDRAWN = ".panel:not([data-drawn])"
PICTURE = "svg.marks, canvas.marks"
ROOT = "document.documentElement"
SCENES = {
    "three groups": lambda: [
        group(made(m), made(m, 1)) for m in ("fedhds", "full", "random")
    ],
    "one run": lambda: [group(made())],
    "a failed run": lambda: [group(made(), made(seed=1, status="failed")), group(made("full"))],
    "only ends": lambda: [group(made(m, every=0)) for m in ("fedhds", "full")],
    "1,000 clients": lambda: [group(made(clients=1000, samples=3000))],
    "hostile names": lambda: [
        group(made(m, names=HOSTILE), label=label)
        for m, label in zip(("fedhds", "full", "random", "zip", "ifd"), HOSTILE, strict=True)
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Write each page once, when it is first asked for."""
    folder, paths = tmp_path_factory.mktemp("pages"), {}

    def path_of(scene: str) -> Path:
        if scene not in paths:
            paths[scene] = folder / f"{len(paths)}.html"
            paths[scene].write_text(written(SCENES[scene](), scene), encoding="utf-8")
        return paths[scene]

    return path_of


def opening(browser, path, heard, width=1200, **options):
    """Open a page, and keep whatever is heard of it: messages, errors, requests."""
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page, address = context.new_page(), path.as_uri()
    page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda r: r.url == address or heard.append(f"request: {r.url}"))
    page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    page.goto(address)
    if options.get("java_script_enabled", True):
        playwright.expect(page.locator(UNDRAWN)).to_have_count(0, timeout=60_000)
    return page


@pytest.fixture
def opened(browser, pages):
    """Open a page for one test, and see to it that it is quiet."""
    heard, shown = [], []

    def open_page(scene="three groups", width=1200, **options):
        shown.append(opening(browser, pages(scene), heard, width, **options))
        return shown[-1]

    yield open_page
    for page in shown:
        page.context.close()
    assert heard == []


@pytest.fixture(scope="module")
def kept(browser, pages):
    """Open each page once, which takes seconds; return it with what is heard of it."""
    shown = {}

    def page_of(scene, width):
        if (scene, width) not in shown:
            heard = []
            shown[scene, width] = opening(browser, pages(scene), heard, width), heard
        return shown[scene, width]

    yield page_of
    for page, _ in shown.values():
        page.context.close()


@pytest.fixture
def shared(kept):
    """Give a page that several tests look at and leave as it is; see to it that it is quiet."""
    listened = []

    def page_of(scene="three groups", width=1200):
        page, heard = kept(scene, width)
        listened.append(heard)
        return page

    yield page_of
    assert not any(listened)


def overflow(page):
    return page.evaluate(f"{ROOT}.scrollWidth - {ROOT}.clientWidth")


@pytest.mark.parametrize("scene", SCENES)
def test_every_panel_has_a_plot(shared, scene):
    drawn = shared(scene).evaluate(
        "[...document.querySelectorAll('.panel')].map(panel => {"
        f"const picture = panel.querySelector('{PICTURE}');"
        "return [picture.tagName, picture.getBoundingClientRect().height,"
        "panel.querySelectorAll('path[d], line, text').length]})"
    )
    assert len(drawn) > 4
    assert all(height > 50 for _, height, _ in drawn)
    assert all(marks > 5 for tag, _, marks in drawn if tag != "CANVAS")


def told_by_the_map(page):
    """Point at the middle of the first map and return what is told, by its title."""
    canvas = page.locator("[data-figure=samples_map] canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for aside in (0, 9):  # a pointer that comes from elsewhere
        page.mouse.move(box["x"] + box["width"] / 2 + aside, box["y"] + box["height"] / 2)
    tip = page.locator("#vg-tooltip-element")
    playwright.expect(tip).to_be_visible()
    names, values = (tip.locator(f"td.{kind}").all_inner_texts() for kind in ("key", "value"))
    return dict(zip(names, values, strict=True))


def test_map_tells_of_the_sample_under_the_pointer(shared):
    told = told_by_the_map(shared())
    assert told["client"].startswith("client ")
    assert told["task"].startswith("task ")
    assert int(told["samples in its group"]) > 0
    assert told["picked"] in {"yes", "no"}
    assert "text" not in told


def test_names_are_text_in_what_the_map_tells(shared):
    page = shared("hostile names")
    assert told_by_the_map(page)["task"] in HOSTILE
    assert page.locator("#vg-tooltip-element img").count() == 0


def test_table_is_sorted_by_keyboard_and_says_so(opened):
    page = opened("a failed run")
    head = page.locator("#numbers th", has_text="seeds finished").first
    names = page.locator("#numbers table").first.locator("tbody th")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert names.all_inner_texts() == ["fedhds", "full"]  # 1 of 2 and 1 of 1: a tie keeps its order
    names_head = page.locator("#numbers th", has_text="group").first
    names_head.locator("button").focus()
    for order, expected in (("ascending", ["fedhds", "full"]), ("descending", ["full", "fedhds"])):
        page.keyboard.press("Space")
        assert names_head.get_attribute("aria-sort") == order
        assert names.all_inner_texts() == expected
    assert head.get_attribute("aria-sort") is None


def test_empty_cells_come_last_in_both_orders(opened):
    page = opened("a failed run")
    table = page.locator("#numbers table").first
    table.evaluate("t => { t.tBodies[0].rows[0].cells[3].dataset.sort = '' }")
    button = table.locator("th", has_text="unseen Rouge-L").locator("button")
    for _ in range(2):
        button.click()
        assert table.locator("tbody th").last.inner_text() == "fedhds"


def test_everything_interactive_is_reached_by_tab_and_shows_it(shared):
    page = shared("one run")
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], button, summary, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility()).length"
    )
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        found = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            "return [[...document.querySelectorAll('*')].indexOf(e), s.outlineStyle, e.tagName]})()"
        )
        if found[2] != "BODY":
            reached.add(found[0])
            assert found[1] != "none", found[2]
    assert len(reached) >= wanted


def test_dark_mode_changes_the_background_and_the_figures_ink(opened):
    page = opened(color_scheme="light")
    ink = "document.querySelector('.panel svg .role-title text').getAttribute('fill')"
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    assert page.evaluate(ink) == "#1b1f24"
    page.emulate_media(color_scheme="dark")
    playwright.expect(page.locator(".panel:not([data-drawn=dark])")).to_have_count(0)
    assert page.evaluate(paper) == "rgb(20, 23, 26)"
    assert page.evaluate(ink) == "#e6e9ed"


def test_print_is_light_and_whole(opened):
    page = opened("a failed run", color_scheme="dark")
    page.emulate_media(media="print")
    playwright.expect(page.locator(".panel:not([data-drawn=light])")).to_have_count(0)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    page.evaluate(f"{ROOT}.style.width = '704px'")  # as A4 is: it is not a window's
    right = "[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right)"
    assert page.evaluate(f"Math.max(...{right})") <= 705
    page.emulate_media(media="screen")
    playwright.expect(page.locator(".panel:not([data-drawn=dark])")).to_have_count(0)


@pytest.mark.parametrize("scene", ["a failed run", "hostile names"])
@pytest.mark.parametrize("width", [400, 2000])
def test_nothing_is_wider_than_the_window(shared, scene, width):
    page = shared(scene, width)
    assert overflow(page) <= 0
    page.evaluate("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert overflow(page) <= 0
    for panel in page.locator(".panel").all():
        box, picture = panel.bounding_box(), panel.locator(PICTURE).bounding_box()
        assert picture["width"] <= box["width"] + 1


def test_text_of_figures_is_at_least_11_pixels(shared):
    page = shared("a failed run", 400)
    sizes = page.evaluate(
        "[...document.querySelectorAll('.panel svg text')].map("
        "e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 11


def test_without_javascript_words_and_tables_are_there(opened):
    page = opened(java_script_enabled=False)
    assert page.locator("#result .verdict").first.is_visible()
    assert page.locator("#numbers tbody tr").first.is_visible()
    page.locator("#costs summary").click()
    assert page.locator("#costs tbody tr").count() == 3
    assert page.get_by_text("The figure needs JavaScript").first.is_visible()


def test_panel_is_saved_without_a_request(opened):
    page = opened("one run")
    panel = page.locator("#costs .panel").first
    panel.locator("summary").click()
    links = panel.locator(".vega-actions a")
    assert links.all_inner_texts() == ["Save as SVG", "Save as PNG"]
    with page.expect_download() as saved:
        links.first.click()
    assert saved.value.suggested_filename == "costs-0.svg"
