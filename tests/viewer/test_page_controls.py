"""Everything on the page works by mouse and by keyboard, and a link brings the same picture back."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from viewer_page import VIEWS

pytestmark = pytest.mark.browser


def test_tabs_by_mouse(open_page, plain) -> None:
    """A click on each tab opens its view."""
    viewer = open_page(plain)
    for place, view in reversed(list(enumerate(VIEWS))):
        tab = viewer.page.get_by_role("tab").nth(place)
        viewer.click(tab)
        assert viewer.selection["view"] == view
        expect(tab).to_have_attribute("aria-selected", "true")


def test_views_by_keyboard(open_page, plain) -> None:
    """1 to 4 from anywhere, and the arrow keys on the tabs."""
    viewer = open_page(plain)
    for place, view in reversed(list(enumerate(VIEWS))):
        viewer.press(str(place + 1))
        assert viewer.selection["view"] == view
    viewer.page.get_by_role("tab").first.focus()
    viewer.press("ArrowRight")
    assert viewer.selection["view"] == VIEWS[1]
    expect(viewer.page.get_by_role("tab").nth(1)).to_be_focused()


def test_layers_by_mouse_and_keyboard(open_page, plain) -> None:
    """[ and ], the two buttons and the slider; neither end can be passed."""
    viewer = open_page(plain)
    seen = []
    for key in ("[", "]", "]", "["):
        viewer.press(key)
        seen.append(viewer.selection["layer"])
    assert seen == [0, 1, 1, 0]
    viewer.click(viewer.page.get_by_role("button", name="Next layer"))
    assert viewer.selection["layer"] == 1
    expect(viewer.page.get_by_role("button", name="Next layer")).to_be_disabled()
    viewer.page.get_by_role("slider", name="Layer").focus()
    viewer.press("ArrowLeft")
    assert viewer.selection["layer"] == 0


def test_heads_by_mouse(open_page, plain) -> None:
    """A click takes one head alone, with Shift it adds or takes away, and never the last."""
    viewer = open_page(plain)
    toolbar = viewer.page.get_by_role("toolbar", name="Heads")

    def heads_after(name: str, **options) -> list[int]:
        viewer.click(toolbar.get_by_role("button", name=name), **options)
        return viewer.selection["heads"]

    assert heads_after("Head 2") == [2]
    assert heads_after("Head 0", modifiers=["Shift"]) == [0, 2]
    assert heads_after("Head 2", modifiers=["Shift"]) == [0]
    assert heads_after("Head 0", modifiers=["Shift"]) == [0]
    pressed = [button.get_attribute("aria-pressed") for button in toolbar.get_by_role("button").all()]
    assert pressed == ["true", "false", "false", "false"]
    viewer.click(viewer.page.get_by_role("button", name="All", exact=True))
    assert viewer.selection["heads"] == [0, 1, 2, 3]


def test_heads_by_keyboard(open_page, plain) -> None:
    """One stop for Tab, arrow keys from there; Space takes, Shift+Space adds; a and m."""
    viewer = open_page(plain)
    viewer.page.get_by_role("button", name="Head 0", exact=True).focus()
    viewer.press("ArrowRight", "Space")
    assert viewer.selection["heads"] == [1]
    viewer.press("ArrowRight", "Shift+Space")
    assert viewer.selection["heads"] == [1, 2]
    viewer.press("m")
    assert viewer.selection["meanHeads"] is True
    viewer.press("a")
    assert viewer.selection["heads"] == [0, 1, 2, 3]


def test_themes(open_page, plain) -> None:
    """T goes round: as the system, light, dark; the page's background follows."""
    viewer = open_page(plain)
    background = "() => getComputedStyle(document.querySelector('.attncore')).backgroundColor"
    seen = []
    for _ in range(3):
        seen.append((viewer.selection["theme"], viewer.page.evaluate(background)))
        viewer.press("t")
    assert [theme for theme, _ in seen] == ["auto", "light", "dark"]
    assert seen[0][1] == seen[1][1] != seen[2][1]
    assert viewer.selection["theme"] == "auto"
    viewer.click(viewer.page.get_by_role("button", name="Theme"))
    assert viewer.selection["theme"] == "light"


def test_the_theme_follows_the_system(open_page, plain) -> None:
    """Also when the system changes while the page is open."""
    viewer = open_page(plain, color_scheme="dark")
    background = "() => getComputedStyle(document.querySelector('.attncore')).backgroundColor"
    dark = viewer.page.evaluate(background)
    viewer.page.emulate_media(color_scheme="light")
    # The page hears of it when the browser gets round to telling.
    viewer.page.wait_for_function(f"dark => ({background})() !== dark", arg=dark)


@pytest.mark.parametrize("how", ["keyboard", "mouse"])
def test_help_opens_and_closes(open_page, plain, how) -> None:
    """Esc closes it and gives the focus back; keys do nothing to the page below."""
    viewer = open_page(plain)
    button = viewer.page.get_by_role("button", name="Keys and help")
    if how == "mouse":
        viewer.click(button)
    else:
        button.focus()
        viewer.press("?")
    dialog = viewer.page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    expect(dialog.locator("kbd").first).to_be_visible()
    viewer.press("4")
    assert viewer.selection["view"] == "head"
    viewer.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()


def test_pins_by_mouse(open_page, plain) -> None:
    """A click pins a query, another on the same takes the pin away; Esc takes all away."""
    viewer = open_page(plain)
    cat = viewer.option(0, "cat")
    viewer.click(cat)
    assert viewer.selection["query"] == 2
    expect(cat).to_have_attribute("aria-selected", "true")
    viewer.click(cat)
    assert viewer.selection["query"] is None
    viewer.click(cat)
    viewer.click(viewer.option(1, "The"))
    viewer.press("Escape")
    assert (viewer.selection["query"], viewer.selection["key"]) == (None, None)


def test_pins_by_keyboard(open_page, plain) -> None:
    """Arrow keys go through the queries, and Enter pins the one that they are at."""
    viewer = open_page(plain)
    viewer.page.get_by_role("listbox").first.focus()
    viewer.press("Home", "ArrowDown", "ArrowDown", "Enter")
    pinned = viewer.selection["query"]
    assert pinned is not None
    viewer.press("ArrowDown", "Enter")
    assert viewer.selection["query"] == pinned + 1


def test_search(open_page, plain) -> None:
    """/ goes to the box; Enter and Shift+Enter go through the matches; letters are no commands in there."""
    viewer = open_page(plain)
    viewer.press("/")
    box = viewer.page.get_by_role("searchbox", name="Find a token")
    expect(box).to_be_focused()
    viewer.page.keyboard.type("at")
    seen = []
    for key in ("Enter", "Enter", "Enter", "Shift+Enter"):
        viewer.press(key)
        seen.append(viewer.selection["query"])
    # cat, sat, mat, and back.
    assert seen == [2, 3, 6, 3]
    assert viewer.selection["theme"] == "auto"
    viewer.press("Escape")
    assert viewer.selection["search"] == ""


def test_the_threshold(open_page, plain) -> None:
    """The slider changes it by keyboard, and says so in words."""
    viewer = open_page(plain)
    slider = viewer.page.get_by_role("slider", name="Threshold")
    slider.focus()
    viewer.press("End")
    assert viewer.selection["threshold"] == 1
    expect(slider).to_have_attribute("aria-valuetext", "1")
    viewer.press("Home", "ArrowRight")
    assert 0 < viewer.selection["threshold"] < 0.01


def test_a_filter_can_be_set_and_taken_away(open_page, plain) -> None:
    """Discounting the sink shows a chip; a click on the chip ends it."""
    viewer = open_page(plain)
    viewer.click(viewer.page.get_by_role("button", name="Filters"))
    sink = viewer.page.get_by_role("radiogroup", name="Attention sink")
    viewer.click(sink.get_by_text("Discount"))
    assert viewer.selection["sink"] == "discount"
    viewer.press("Escape")
    viewer.click(viewer.page.get_by_role("button", name="take this filter away"))
    assert viewer.selection["sink"] == "show"


def test_a_head_of_the_model_view_opens(open_page, plain) -> None:
    """By mouse and by keyboard, the head that was chosen is the one selected."""
    viewer = open_page(plain, "#view=model")
    cells = viewer.page.get_by_role("gridcell")
    expect(cells).to_have_count(8)
    viewer.click(cells.nth(6))
    assert (viewer.selection["layer"], viewer.selection["heads"]) == (1, [2])
    assert viewer.selection["view"] != "model"


CHOSEN = {
    "view": "matrix",
    "layer": 1,
    "heads": [0, 2],
    "query": 5,
    "key": 3,
    "meanHeads": True,
    "sink": "discount",
    "threshold": 0.25,
    "scale": "log",
    "theme": "dark",
    "search": "a&b=c#d,é%20",
}


def test_the_address_restores_the_selection_in_a_new_page(open_page, plain) -> None:
    """Everything that was chosen, and what was not is as at the beginning."""
    viewer = open_page(plain)
    viewer.select(**CHOSEN)
    viewer.page.wait_for_function("() => location.hash.includes('view=matrix')")
    again = open_page(plain, "#" + viewer.page.url.split("#", 1)[1])
    assert again.selection == viewer.selection
    assert again.selection == {**again.selection, **CHOSEN}


def test_copy_link(open_page, plain) -> None:
    """The menu gives the link of what is shown, through the clipboard or, if that is refused, in a dialog."""
    viewer = open_page(plain, "#layer=1&query=4")
    viewer.press("e")
    viewer.click(viewer.page.get_by_role("menuitem", name="Copy link"))
    # Wherever the browser allows a page from the disk to write, the link is announced; else it is shown.
    dialog = viewer.page.get_by_role("dialog", name="Copy this link")
    if dialog.count():
        link = dialog.get_by_role("textbox", name="Link").input_value()
    else:
        expect(viewer.spoken).to_have_text("Link copied")
        link = viewer.page.url
    again = open_page(plain, "#" + link.split("#", 1)[1])
    assert (again.selection["layer"], again.selection["query"]) == (1, 4)
