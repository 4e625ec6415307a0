"""Documents name every part of the tree, and are found from the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for top in ("mynah", "services")
    for path in (ROOT / top).glob("*/__init__.py")
)
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_is_in_the_table_of_the_architecture(package: str) -> None:
    layout = (ROOT / "docs/architecture.md").read_text().partition("## Layout")[2]
    assert f"| `{package}`" in layout


def test_every_page_is_linked_from_the_readme() -> None:
    linked = re.findall(r"\]\((docs/[\w-]+\.md)\)", (ROOT / "README.md").read_text())
    assert sorted(set(linked)) == PAGES


@pytest.mark.parametrize("page", ["README.md", *PAGES])
def test_links_between_documents_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", path.read_text()):
        assert (path.parent / link).exists(), link
