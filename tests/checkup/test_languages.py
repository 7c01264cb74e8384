"""Languages of documents, by an optional library."""

import sys

import pytest

from checkup import languages


@pytest.fixture
def without_library(monkeypatch):
    """As on a machine where the library is not installed."""
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    languages.identifier.cache_clear()
    yield
    languages.identifier.cache_clear()


def test_languages_are_told_where_a_document_is_long_enough():
    pytest.importorskip("py3langid", reason="py3langid is missing: requirements-check.txt brings it")
    english = "We watched this film with the whole family, and nobody wanted it to end."
    german = "Wir haben diesen Film mit der ganzen Familie gesehen, und niemand wollte gehen."
    assert languages.recognised([english, english, german, "too short"]) == {"en": 2, "de": 1}
    assert languages.recognised(["日本の首都で大きな地震がありました", "이 영화는 정말 너무너무 좋았어요"]) == {
        "ja": 1,
        "ko": 1,
    }
    assert (languages.name_of("de"), languages.name_of("oc")) == ("German", "oc")


@pytest.mark.usefixtures("without_library")
def test_without_the_library_nothing_is_told():
    assert languages.recognised(["We watched this film with the whole family."]) is None
