"""Templates: what fills a place is never taken for another place, and no value ends a script."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pages.template import filled, script_json


def test_what_fills_a_place_is_not_filled_again(tmp_path):
    template = tmp_path / "page.html"
    template.write_text("<!--A--> and /*B*/[]", encoding="utf-8")
    assert filled(template, {"<!--A-->": "/*B*/[] \\1", "/*B*/[]": "<!--A-->"}) == "/*B*/[] \\1 and <!--A-->"


@given(st.recursive(st.text() | st.integers(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))
def test_a_value_in_a_script_is_itself_and_ends_no_script(value):
    assert json.loads(script_json(value)) == value and "<" not in script_json(value)
