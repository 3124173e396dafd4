"""The Japanese pages keep step with the English ones: the same headings in the same order, the same
commands, the same links, and as many rows in each table."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = {"README.ja.md": "README.md", "docs/operating.ja.md": "docs/operating.md"}
OWN = {link for pair in PAGES.items() for page in pair for link in (page, page.split("/")[-1])}


def prose_and_code(text):
    """Lines outside of blocks of code, and the lines in them, without what follows them."""
    prose, code, fenced = [], [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            code.append(line.strip())
        else:
            prose.append(line)
    return prose, code


def shape(path):
    """What has to agree, whatever the language."""
    prose, code = prose_and_code((ROOT / path).read_text())
    text = "\n".join(prose)
    return {
        "levels of headings": [len(m) for m in re.findall(r"^(#+) ", text, re.M)],
        "commands": code,
        "links": sorted(set(re.findall(r"\]\(([^)]+)\)", text)) - OWN),
        "rows of tables": sum(line.startswith("|") for line in prose),
        "code in sentences": sorted(set(re.findall(r"`([^`]+)`", re.sub(r"\s+", " ", text)))),
    }


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("what", ["levels of headings", "commands", "links", "rows of tables",
                                  "code in sentences"])
def test_a_translated_page_has_what_its_original_has(page, what):
    assert shape(page)[what] == shape(PAGES[page])[what]


@pytest.mark.parametrize("page", PAGES)
def test_a_translated_page_is_japanese(page):
    prose = "".join(prose_and_code((ROOT / page).read_text())[0])
    assert len(re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", prose)) > len(prose) / 4


def test_each_page_names_the_other():
    for page, original in PAGES.items():
        assert pathlib.Path(page).name in (ROOT / original).read_text()
