from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from orchestrator.common.addresses import (
    HIDDEN,
    address_of,
    sqlite_path,
    sqlite_uri,
    user_of,
    without_secrets,
    without_secrets_in,
)
from orchestrator.common.errors import MirrorError

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=20)
SECRETS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), min_size=6, max_size=10).map(
    lambda text: f"Zq9{text}"
)
"""Begin as no word of a message does."""


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("sqlite:////runs/mlflow.db", "sqlite:////runs/mlflow.db"),
        ("sqlite:////r@b:c#d/mlflow.db", "sqlite:////r@b:c#d/mlflow.db"),
        ("sqlite+pysqlite:////r%3Fx/mlflow.db", "sqlite+pysqlite:////r%3Fx/mlflow.db"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("https://me:pa:ss@host:80/path", "https://…@host:80/path"),
        ("https://token@host", "https://…@host"),
        ("https://host/x#secret", "https://host/x#…"),
        ("https://me:pa/ss@host/x", "https://…@host/x"),
        ("https://me:pa?ss@host", "https://…@host"),
        ("postgresql://u:p@ss@db/mlflow?password=x", "postgresql://…@db/mlflow?…"),
        ("http://[not-an-address", "…"),
    ],
)
def test_an_address_is_shown_without_its_secrets(uri: str, shown: str) -> None:
    assert without_secrets(uri) == shown


@given(st.lists(NAMES, min_size=1, max_size=3))
@example(["r?x", "%41", "#", "[x]", ";", "a@b:c"])
@example(["r%3Fx"])
def test_a_file_is_read_back_out_of_its_address_by_us_and_by_sqlalchemy(names: list[str]) -> None:
    path = Path("/", *names)
    uri = sqlite_uri(path)
    assert sqlite_path(uri) == path
    assert make_url(uri).database == str(path)


def test_a_relative_address_is_relative() -> None:
    assert sqlite_path("sqlite:///x/mlflow.db?timeout=3") == Path("x/mlflow.db")
    assert sqlite_path("sqlite://") is None
    assert sqlite_path("sqlite:///:memory:") is None
    assert sqlite_path("postgresql://db/x") is None


@pytest.mark.parametrize("name", ["a\nb", "a\0b", "a\udcffb"])
def test_a_name_that_no_address_can_say_is_refused(name: str) -> None:
    with pytest.raises(MirrorError, match="rename the folder, or set MLFLOW_TRACKING_URI") as refused:
        sqlite_uri(f"/runs/{name}/mlflow.db")
    str(refused.value).encode()


def spellings(secret: str) -> list[str]:
    plain = unquote(secret)
    return [
        secret,
        plain,
        quote(plain, safe=""),
        quote(plain),
        quote_plus(plain),
        quote(quote(plain, safe=""), safe=""),
        repr(plain)[1:-1],
        json.dumps(plain)[1:-1],
        json.dumps(plain, ensure_ascii=False)[1:-1],
    ]


@settings(max_examples=40)
@given(user=SECRETS, password=SECRETS, token=SECRETS, fragment=SECRETS, scheme=st.sampled_from(["http", "postgresql"]))
@example(user="Zq9me", password="Zq9p@ss:/?#w", token="Zq9%41 &=", fragment="Zq9'\"\\", scheme="http")
def test_no_spelling_of_a_secret_stays_in_a_message(
    user: str, password: str, token: str, fragment: str, scheme: str
) -> None:
    coded = [quote(text, safe="") for text in (user, password, token, fragment)]
    uri = f"{scheme}://{coded[0]}:{coded[1]}@host:80/x?token={coded[2]}&on=1#{coded[3]}"
    assert "Zq9" not in without_secrets(uri)
    basic = base64.b64encode(f"{user}:{password}".encode()).decode()
    said = [f"cannot reach {uri}/api: refused", f"sent Authorization: Basic {basic} to it", f"header {basic} was sent"]
    said += [f"url: /x?token={coded[2]}/api/2.0", f"{scheme}://{coded[0]}:{coded[1]}@other/"]
    said += [f"the word «{spelt}» is wrong" for text in coded for spelt in spellings(text)]
    for text in said:
        shown = without_secrets_in(text, uri, environment={})
        assert "Zq9" not in shown, (text, shown)
        assert basic not in shown
        assert without_secrets_in(text, environment={"MLFLOW_TRACKING_URI": uri}) == shown


@pytest.mark.parametrize("password", ["pa/ss-word", "pa?ss-word", "pa#ss-word", "pa@ss-word", "pa%zzss"])
def test_a_password_that_was_not_quoted_is_hidden_too(password: str) -> None:
    uri = f"http://me:{password}@host/x"
    assert password not in without_secrets(uri)
    assert password not in without_secrets_in(f"no '{password}' at {uri}", uri, environment={})


def test_variables_headers_and_other_addresses_are_hidden() -> None:
    environment = {"MLFLOW_TRACKING_TOKEN": "planted-1", "MLFLOW_TRACKING_PASSWORD": "planted-2"}
    text = "planted-1 planted%2D2 Bearer abc.def-g http://u:planted-3@proxy:3128/ s3://b/k?sig=planted-4 https://docs.org/a#b"
    shown = without_secrets_in(text, environment=environment)
    assert shown == f"… … Bearer {HIDDEN} http://…@proxy:3128/ s3://b/k?… https://docs.org/a#b"


def test_words_that_a_short_secret_is_part_of_stay() -> None:
    uri = "http://me:on@host/x?a=1"
    assert without_secrets_in("some connection 1000, no on here", uri, environment={}) == (
        "some connection 1000, no … here"
    )


def test_a_server_is_opened_without_secrets_and_asked_with_them() -> None:
    uri = "http://me:p%40ss@host:80/x/?token=s#f"
    assert address_of(uri) == "http://host:80/x"
    assert user_of(uri) == ("me", "p@ss")
    assert user_of("http://host") is None
