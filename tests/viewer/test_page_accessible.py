"""The page can be used with a screen reader and by people who see little: axe-core finds nothing serious."""

from __future__ import annotations

from pathlib import Path

import pytest
from viewer_page import VIEWS

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "src/renderers/viewer/node_modules/axe-core/axe.min.js"
_RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const words = ({ target, failureSummary }) => `${target}: ${failureSummary}`;
  return grave.map(({ id, nodes }) => [id, nodes.slice(0, 4).map(words)]);
}"""


def violations(viewer) -> list[dict]:
    """What axe-core calls serious or critical."""
    # The page's policy forbids script elements; code that the browser's driver runs is not the page's.
    viewer.page.evaluate(AXE.read_text(encoding="utf-8"))
    return viewer.page.evaluate(_RUN)


@pytest.fixture(scope="session", autouse=True)
def _axe_is_installed() -> None:
    if not AXE.exists():
        pytest.fail(f"axe-core is not installed ({AXE} is missing): run npm ci in src/renderers/viewer")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_no_serious_violation(open_page, plain, view, theme) -> None:
    """With a pinned pair, so that the details are full."""
    viewer = open_page(plain, f"#view={view}&query=5&key=3&theme={theme}")
    assert violations(viewer) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_an_open_dialog_has_no_serious_violation(open_page, plain, theme) -> None:
    """The help, above the page."""
    viewer = open_page(plain, f"#theme={theme}")
    viewer.press("?")
    assert violations(viewer) == []
