"""The words at the foot of a page are those that stand on it."""

from workbench.report.glossary import GLOSSARY, glossary


def test_only_words_of_the_page_are_explained() -> None:
    said = glossary(["The trunks are frozen.", "OKS of the nano network"])
    assert [line.split("**")[1] for line in said.splitlines()] == ["OKS", "nano", "trunk"]
    assert all(GLOSSARY[word] in said for word in ("OKS", "nano", "trunk"))


def test_a_word_inside_another_is_none() -> None:
    assert glossary(["mOKS, nanometre, APx"]) == "" and "**A/A**" in glossary(["the row A/A"])
