"""Masking: no secret survives, wherever it stood; everything else does, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.recorder.masking import Masker
from ib_platform.recorder.secrets import Secret
from ib_platform_tests.support import capture_messages

ACCOUNT, USERNAME = "DU7654321", "hansmeier7"
SESSION = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
MAC, OTHER_MAC = "98:F2:B3:23:BF:A0", "98-F2-B3-23-BF-A1"
USER_ID = 287_654_321
SECRETS = {
    "account": ACCOUNT,
    "other account": "U2233445",
    "username": USERNAME,
    "session": SESSION,
    "mac": MAC,
    "other mac": OTHER_MAC,
    "address": "81.169.145.7",
    "long address": "2a01:4f8:c17:b0f::2",
    "e-mail": "hans.meier@meier-familie.de",
    "server": "JifN28374",
    "token": "dGhpc0lzQVNlY3JldFRva2VuMTIzNDU2Nzg5",
    "uuid": "3f2b8c1e-9d4a-4e7b-8f6a-1c2d3e4f5a6b",
}
"""One of each kind that is recognised without any key."""


def masker() -> Masker:
    fresh = Masker(ACCOUNT, USERNAME)
    fresh.learn(Secret.TOKEN, SESSION)
    return fresh


def shape(value: Any) -> Any:
    """Structure of a document: what is where, not what it says. Keys may be masked."""
    if isinstance(value, dict):
        return [shape(member) for member in value.values()]
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value).__name__


# Secrets anywhere.

WORDS = st.sampled_from(
    ["", "login of", "sbd", "700000001", "3 @ 58.28", "caf\u00e9 \u2603", '"', "\\"]
)
SEPARATORS = st.sampled_from([" ", "+", ", ", ": ", "'", '"', "(", "&x=", "; ", "\n", "|"])
SENTENCES = st.builds(
    lambda before, first, secret, second, after: before + first + secret + second + after,
    WORDS,
    SEPARATORS,
    st.sampled_from(sorted(SECRETS.values())),
    SEPARATORS,
    WORDS,
)
KEYS = st.sampled_from(
    ["text", "topic", "args", "31", "accounts", "session", "x", "message", "userName", "url"]
)
DOCUMENTS = st.recursive(
    st.one_of(SENTENCES, st.integers(), st.booleans(), st.none(), st.sampled_from(["31", "RB"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(KEYS, SENTENCES), inner, max_size=4),
    ),
    max_leaves=12,
)


def no_secret_in(text: str) -> None:
    for name, secret in SECRETS.items():
        assert secret.lower() not in text.lower(), name


@given(DOCUMENTS, st.booleans())
def test_no_secret_survives_in_json(document: Any, ascii_only: bool) -> None:
    text = json.dumps({"data": document}, ensure_ascii=ascii_only)
    masked = masker().text(text)
    no_secret_in(masked)
    no_secret_in(json.dumps(json.loads(masked), ensure_ascii=False))
    assert shape(json.loads(masked)) == shape(json.loads(text))


@given(DOCUMENTS)
def test_no_secret_survives_in_json_inside_json(document: Any) -> None:
    text = json.dumps({"body": json.dumps({"data": document})})
    masked = masker().text(text)
    no_secret_in(json.loads(masked)["body"])
    assert shape(json.loads(json.loads(masked)["body"])) == shape({"data": document})


@given(SENTENCES)
def test_no_secret_survives_in_plain_text(text: str) -> None:
    no_secret_in(masker().text(text))


@given(DOCUMENTS, st.data())
def test_no_whole_secret_survives_in_torn_json(document: Any, data: st.DataObject) -> None:
    text = json.dumps(document, ensure_ascii=False)
    end = data.draw(st.integers(0, len(text)))
    known = (ACCOUNT, USERNAME, SESSION)
    masked = masker().text(text[:end])
    assert not [secret for secret in known if secret.lower() in masked.lower()]


@given(SENTENCES)
def test_masking_twice_changes_nothing_more(text: str) -> None:
    one = masker()
    assert one.text(one.text(text)) == one.text(text)


@given(st.lists(SENTENCES, max_size=5))
def test_the_same_secret_gets_the_same_mask(texts: list[str]) -> None:
    one = masker()
    first = [one.text(text) for text in texts]
    assert [one.text(text) for text in texts] == first


@pytest.mark.parametrize("name", SECRETS)
def test_every_kind_is_recognised_under_an_unknown_key(name: str) -> None:
    text = json.dumps({"somethingNew": SECRETS[name]})
    masked = json.loads(masker().text(text))["somethingNew"]
    assert masked
    assert masked != SECRETS[name]


# What tells nothing stays.

QUIET = [
    '{"topic":"system","hb":1763036446968}',
    '{"topic":"sbd+DU1000001+304037393","data":[{"row":0,"focus":0,"price":"4,500.75","ask":"17"},'
    '{"row":10,"focus":1,"price":"3 @ 58.28","bid":"2"}]}',
    '{"server_id":"q6","conidEx":"304037393","conid":304037393,"_updated":1763036446968,'
    '"6119":"q6","55":"CL","31":"58.28","84":"H4,500.25","87":"49.9K","6509":"RB"}',
    'smd+304037393+{"fields":["31","84","85","86","88","7059","7762","6509"]}',
    "sbd+DU1000001+304037393+NYMEX",
    "ech+hb",
    "tic",
    '{"message":"waiting for session"}',
    '{"error":"Bad Request: no bridge","statusCode":400}',
    '{"con_id":304037393,"local_symbol":"CLZ6","valid_exchanges":"CME,QBALGO","cfi_code":"",'
    '"maturity_date":"20261218","company_name":"E-mini S&P 500"}',
    '{"serverVersion":"Build 10.40.1c, Oct 23, 2025 4:00:29 PM"}',
    '{"startTime":"20261123-00:00:00","timezone":"America/Chicago","x":"2026-11-23T10:00:00.123Z"}',
    "/iserver/contract/304037393/info-and-rules",
    '{"path":"/v1/api/iserver/marketdata/snapshot","id":"p100","allowedAssetTypes":"STK,FUT,FOP"}',
    '{ "odd" :[1.50, -0e3 ,"\\u0041\\/"] ,"odd":2 }',
]


@pytest.mark.parametrize("text", QUIET)
def test_conids_prices_sizes_and_words_stay(text: str) -> None:
    assert Masker("DU1000001", "papera01").text(text) == text


@given(
    st.lists(
        st.fixed_dictionaries(
            {"row": st.integers(0, 20), "price": st.decimals(-9999, 99999, places=4).map(str)},
            optional={"bid": st.integers(1, 10**6).map(str), "ask": st.integers(1, 10**6)},
        ),
        max_size=5,
    ),
    st.integers(1, 2**31),
    st.sampled_from([(", ", ": "), (",", ":")]),
)
def test_a_ladder_frame_keeps_its_bytes_but_for_the_account(
    rows: list[dict[str, Any]], conid: int, separators: tuple[str, str]
) -> None:
    def frame(account: str) -> str:
        topic = f"sbd+{account}+{conid}"
        return json.dumps({"topic": topic, "conid": conid, "data": rows}, separators=separators)

    assert masker().text(frame(ACCOUNT)) == frame("DU1000001")


def test_of_a_masked_recording_only_the_session_ids_are_left_to_mask() -> None:
    """The recorded capture was masked by hand: the masker agrees with that hand."""
    masker_of_it = Masker("DU1000001", "papera01")
    changed = {
        message["msg"]
        for message in capture_messages()
        if masker_of_it.text(message["msg"]) != message["msg"]
    }
    assert changed
    for text in changed:
        session = json.loads(text)["args"]["sessionId"]
        assert masker_of_it.text(text) == text.replace(session, masker_of_it.text(session))


# What the keys tell.


def test_the_first_account_and_username_keep_their_meaning() -> None:
    welcome = '{"topic":"system","success":"HansMeier7","isFT":false,"isPaper":true}'
    assert masker().text(welcome) == welcome.replace("HansMeier7", "papera01")
    assert masker().text(f"sbd+{ACCOUNT}+42") == "sbd+DU1000001+42"


def test_success_is_a_username_in_one_message_only() -> None:
    assert masker().text('{"topic":"ntf","success":"done"}') == '{"topic":"ntf","success":"done"}'


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("session", "cafe"),
        ("sessionId", "6a5b4c3d.00000001"),
        ("USER_NAME", "somebody"),
        ("CREDENTIAL", "somebody"),
        ("hardware_info", "f1a2b3c4|98:F2:B3:23:BF:A0"),
        ("accountTitle", "Hans Meier"),
        ("accountAlias", "Rainy days"),
        ("serverName", "unheard of"),
        ("IP", "fe80::1"),
    ],
)
def test_what_stands_under_a_telling_key_is_masked_everywhere(key: str, value: str) -> None:
    text = json.dumps({"before": f"it was {value}!", key: value, "after": [value]})
    masked = masker().text(text)
    assert value not in masked
    assert shape(json.loads(masked)) == shape(json.loads(text))


def test_what_was_learned_is_masked_in_later_messages() -> None:
    one = masker()
    one.text('{"session":"cafe"}')
    assert "cafe" not in one.text("tic of (cafe)")
    assert one.text("cafeteria") == "cafeteria", "a short word is masked by itself only"


def test_a_user_id_is_masked_as_a_number_and_conids_are_not() -> None:
    text = json.dumps({"USER_ID": USER_ID, "other": USER_ID, "conid": USER_ID, "small": 7})
    masked = json.loads(masker().text(text))
    assert type(masked["USER_ID"]) is int
    assert masked["USER_ID"] == masked["other"] != USER_ID
    assert (masked["conid"], masked["small"]) == (USER_ID, 7)


def test_aliases_of_accounts_are_persons() -> None:
    text = json.dumps({"aliases": {ACCOUNT: "My pension", "U2233445": "U2233445"}})
    masked = json.loads(masker().text(text))["aliases"]
    assert masked == {"DU1000001": "Person 1", "DU1000002": "DU1000002"}


@pytest.mark.parametrize("word", ["", "All", "none", "unknown"])
def test_words_that_tell_nothing_are_not_learned(word: str) -> None:
    one = masker()
    text = json.dumps({"account": word})
    assert one.text(text) == text
    assert one.text("all of none unknown") == "all of none unknown"


@pytest.mark.parametrize(
    "text",
    [
        'Cookie: api={"session":"xyz12"}',
        "x-sess-uuid=0.xyz12abcd; USERID=287654321",
        '{"session":"xyz12","trunc',
        "https://localhost/sso?user=xyz12abc&z=1",
        "token: xyz12",
    ],
)
def test_assignments_in_text_that_is_no_json(text: str) -> None:
    assert "xyz12" not in masker().text(text)
    assert "287654321" not in masker().text(text)


def test_a_token_in_a_path_leaves_the_path() -> None:
    masked = masker().text(f"/v1/api/logout/{SECRETS['token']}")
    assert masked.startswith("/v1/api/logout/")
    no_secret_in(masked)


def test_pairs_of_a_query() -> None:
    pairs = [("acctId", ACCOUNT), ("conids", "700000001"), ("u", f"x {USERNAME}")]
    assert masker().pairs(pairs) == [
        ("acctId", "DU1000001"),
        ("conids", "700000001"),
        ("u", "x papera01"),
    ]


def test_a_secret_that_was_quoted_for_a_url() -> None:
    one = Masker(ACCOUNT, "hans meier")
    assert "meier" not in one.text("/sso/Login?x=hans%20meier").lower()


def test_bytes_that_are_no_text_keep_their_place() -> None:
    payload = b"\xff\xfe" + ACCOUNT.encode() + b"\x80"
    assert masker().payload(payload) == b"\xff\xfeDU1000001\x80"


@pytest.mark.parametrize("text", ["[" * 100_000, "{" * 3, '{"a":', "[NaN]", "\ud800", "{}x", ""])
def test_odd_texts_are_survived(text: str) -> None:
    assert masker().text(text) == text
