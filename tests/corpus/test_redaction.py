"""Credentials are cut out of what is kept, and nothing else is."""

import pytest

from corpus.errors import CorpusError
from corpus.redaction import all_redacted, redacted

VARIABLES = {
    "MLFLOW_TRACKING_URI": "https://mill:tr4cking-word@mlflow.example.com:5000/base",
    "HTTPS_PROXY": "http://me:pr0xy%40word@proxy.example.com:3128",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG",
    "HF_TOKEN": "hf_Planted77",
    "POSTGRES_PASSWORD": "password",  # a word: it stands in texts that have nothing to do with it
    "TOKENIZERS_PARALLELISM": "false42",
    "SSL_KEY": "/etc/ssl/private.pem",
}


@pytest.fixture(autouse=True)
def _variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (f"at {VARIABLES['MLFLOW_TRACKING_URI']}/#/runs", "at https://mlflow.example.com:5000/base/#/runs"),
        ("sftp://me:a@b@host/x, http://token@host/", "sftp://host/x, http://host/"),
        (
            "https://h.org/a?X-Amz-Signature=ab12&page=3&sig=x%3D",
            "https://h.org/a?X-Amz-Signature=***&page=3&sig=***",
        ),
        ("said tr4cking-word, pr0xy%40word", "said ***, ***"),
        ("key wJalrXUtnFEMI/K7MDENG of hf_Planted77", "key *** of ***"),
    ],
)
def test_credentials_are_cut_out(text: str, kept: str) -> None:
    assert redacted(text) == kept
    assert str(CorpusError(text)) == kept


@pytest.mark.parametrize(
    "text",
    [
        "write to jane@example.org about https://example.org/@jane/a?token_count=3",
        "the password is false42, in /etc/ssl/private.pem",
        "https://example.org/search?q=a@b",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert redacted(text) == text


def test_whole_settings_are_redacted() -> None:
    assert all_redacted({"a": [{"b": "https://u:p@h/x"}, 3, None]}) == {"a": [{"b": "https://h/x"}, 3, None]}
