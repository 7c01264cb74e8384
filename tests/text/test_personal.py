"""Personal data are found, and what only looks like them is not."""

import re

import pytest

from text.personal import handles, personal


@pytest.mark.parametrize(
    "marked",
    [
        "write to [jane.doe+news@mail.example.org] today",
        "[me@here.org]\u2014now",
        "call [+49 170 1234567] or stay",
        "call [(030) 123 4567] now",
        "call [555-123-4567]",
        "host [192.168.0.1] is down",
        "host [2001:db8::8a2e:370:7334] is up",
        "at [fe80::1] or so",
        "open [192.168.0.1]:8080 now",
        "IP:[10.20.30.40] is it",
        "card [4111 1111 1111 1111] 123",
        "card [4111-1111-1111-1111] 12/25",
        "appelez [06 12 34 56 78]",
        "card [4111 1111 1111 1111] expired",
        "card [4111111111111111]",
        "card [378282246310005]",
        "card [4222222222222]",
        "card [6304001234567890128]",
        "card 12/25 [4111111111111111]",
        "order 12 [4111 1111 1111 1111]",
        "[555-123-4567] [555-987-6543]",
        "[212 555 0123] [212 555 0199]",
        "[+1 212 555 0123] [212 555 0199]",
        "[06 12 34 56 78] [06 98 76 54 32]",
        "order 123456789012 [4111 1111 1111 1111] exp",
        "[212-555-0123]/[212-555-0199]",
        "[(030) 123 4567] [(040) 765 4321]",
        "call 12/12/2020 [555-123-4567]",
        "on 2020-01-01 [(555) 123-4567]",
        "10.20.30 or 999.999.999.999 [555-123-4567]",
        "call [030 1234567]",
        "call\u2014[0171 2345678]",
        "[1234 5678 9012]\u20143456",
        "[0171-2345678]",
        "[+49 30123456]",
        "[(030) 1234567]",
        "Tel. [030/1234567], Fax [030 / 1234568]",
        "[0171 \u2013 2345678].",
        "bel [06-12345678]",
        "[07700 900123]",
        "[0049 30123456]",
        "([089 123456])",
        "on 2024-11-27 [0171 2345678]",
        "[0171-2345678]/[0171-8765432]",
        "[0171 2345678] [0172 8765432]",
        "[030/1234567], [030/7654321]",
        "key [AKIAIOSFODNN7EXAMPLE] leaked",
        "key [sk-abcdefghijklmnopqrstuv]",
        "token [xoxb-abcdefghij]",
        "token [ghp_16C7e42F292c6912E7710c838347Ae178B4a]",
        "sha [d41d8cd98f00b204e9800998ecf8427e]",
        "電話．[０３　１２３４　５６７８]",
    ],
)
def test_personal_data_is_found_whole(marked):
    text = re.sub(r"[\[\]]", "", marked)
    assert {*re.findall(r"\[(.*?)\]", marked)} <= {text[start:end] for start, end in personal(text)}


def test_two_numbers_side_by_side_are_found_whole_but_not_in_earlier_sets():
    for text, first in (("4111 1111 1111 1111 5500 0000 0000 0004", 19), ("212 555 0123 212 555 0199", 12)):
        assert {(0, first), (first + 1, len(text))} <= {*personal(text)}
    assert personal("212 555 0123 212 555 0199", side_by_side=False) == []


@pytest.mark.parametrize(
    "text",
    [
        "released on 2010-12-03 at 10:30",
        "bump to version 1.22.3",
        "see issue 123456789",
        "the years 1999 and 2000",
        "card 4111 1111 1111 1112 is none",
        "from 2010-12-03 to 31.12.2010 12 1",
        "meet @ noon, a@b",
        "ratio 12:30:45 and 999.999.999.999",
        "closes #12345 and #67890",
        "on 12/31/2010 or 31.12.2010",
        "10 20 30 40 and 1 2 3 4 5 6 7 8",
        "1990-2000, 100 2000000 and 100-2000000",
        "arXiv:0902.3708, 0.839995520 or 040.1234567",
        "ISSN 0022-3514",
        "Cambridge, MA 02139-4307",
        "tags 0016 964012, 0016 964077",
        "01 20241127 and 0755 100",
        "pages 0123-0145 and 00123-00145",
        "ISBN 978-0306406157, SBN 0306406152",
        "example.org/a/0171/234567",
        "0171 234567ab, a0171 234567",
        "std::vector and a::b",
        "order 411111111125",
        "row 0000000000000000",
        "tag 0049 3012345",
        "日時は2010-12-03です",
        "２０１０－１２－０３に２０１０-１２-０３",
        "版本1.22.3发布，时间：12：30：45",
        "ISSNは0022-3514です",
        "番号a0171 234567です",
        "夏目漱石（1867－1916）は（20190501）、세종(1397-1450)은",
        "第１：：２",
    ],
)
def test_what_only_looks_like_personal_data_is_not(text):
    assert personal(text) == []


def test_handles_are_names_after_an_at_sign_but_not_addresses():
    assert [("@jane hi @bob_2")[a:b] for a, b in handles("@jane hi @bob_2")] == ["@jane", "@bob_2"]
    assert handles("mail me@here.org or @ home") == []


@pytest.mark.parametrize(
    "text",
    [
        "card 4111\u00a01111\u00a01111\u00a01111",
        "06\u202f12\u202f34\u202f56\u202f78",
        "555\u2011123\u20114567",
        "+49\u2009170\u20131234567",
    ],
)
def test_numbers_as_typesetters_group_them_are_found_and_were_not_in_earlier_sets(text):
    (start, end) = personal(text)[0]
    assert text[start:end] == text.removeprefix("card ") and not personal(text, typographic=False)


@pytest.mark.parametrize(
    "marked",
    [
        "電話は[090-1234-5678]です",
        "联系电话[138-1234-5678]微信",
        "拨打[010-12345678]咨询",
        "โทร[081-234-5678]นะครับ",
        "전화는 [010-1234-5678]입니다",
        "ﾃﾞﾝﾜ[03-1234-5678]ﾃﾞｽ",
        "日時2010-12-03電話[090-1234-5678]まで",
        "IPは[192.168.0.1]です",
        "主机[2001:db8::8a2e:370:7334]在线",
        "卡号[4111 1111 1111 1111]。",
        "カードは[4111-1111-1111-1111]です",
        "キーは[AKIAIOSFODNN7EXAMPLE]です",
        "連絡先[foo@example.com]まで",
        "[０９０－１２３４－５６７８]",
        "電話[（０３）１２３４－５６７８]まで",
        "ホスト[１９２．１６８．０．１]です",
        "[ｆｏｏ＠ｅｘａｍｐｌｅ．ｃｏｍ]",
    ],
)
def test_what_touches_letters_of_scripts_without_spaces_is_found_alone_and_was_not_in_earlier_sets(marked):
    text, expected = re.sub(r"[\[\]]", "", marked), re.findall(r"\[(.*?)\]", marked)
    found = personal(text)
    assert [text[min(start for start, _ in found) : max(end for _, end in found)]] == expected
    assert expected[0] not in [text[start:end] for start, end in personal(text, unspaced=False)]


@pytest.mark.parametrize("address", ["用户@例子.公司", "foo@例子.公司", "李@example.com"])
def test_an_address_in_scripts_without_spaces_is_found_whole(address):
    assert personal(address) == personal(address, unspaced=False) == [(0, len(address))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ありがとう@taro_yamadaさん嬉しい", "@taro_yamada"),
        ("谢谢@xiaoming", "@xiaoming"),
        ("回复@李小明:你好", "@李小明"),
        ("ครับ@somchai", "@somchai"),
        ("＠taro_yamada ", "＠taro_yamada"),
    ],
)
def test_names_beside_letters_of_scripts_without_spaces_are_found_alone_and_were_not_in_earlier_sets(text, name):
    assert [text[start:end] for start, end in handles(text)] == [name]
    assert name not in [text[start:end] for start, end in handles(text, unspaced=False)]


def test_a_name_ends_where_a_script_without_spaces_begins():
    text = "@taro_yamadaさんこんにちは"
    assert handles(text) == [(0, 12)] and handles(text, unspaced=False) == [(0, len(text))]
    assert handles("foo＠example.com x.＠ab ライブ＠渋谷 あと＠100円 あと@3人") == []
