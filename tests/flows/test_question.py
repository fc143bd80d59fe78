"""Questions to models without an endpoint: what can be done instead is said."""

from pathlib import Path

import pytest

from deploy.client import EndpointAnswer
from flows import question
from tasks.contract.errors import RecipeError, ServerError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXTMILL_HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    return tmp_path


def refusal(registered: dict[str, str], model: str | None, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(question, "_registered", lambda: registered)
    with pytest.raises(ServerError) as error:
        question.ask(["who is there"], model)
    return str(error.value)


@pytest.mark.parametrize("model", [None, "names"])
def test_a_model_that_is_not_served_is_loaded(
    model: str | None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = refusal({"names": "champion"}, model, monkeypatch)
    assert said.startswith("names is registered in MLflow and not served")
    program = said.partition("\n\n")[2]
    compile(program.replace("{…}", "{}"), "said", "exec")
    assert len(program.splitlines()) == 3
    assert 'load_model("models:/names@champion")' in program


def test_a_name_that_nothing_has(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal({"names": "champion"}, "name", monkeypatch)
    expected = "there is no endpoint 'name'; nothing is deployed here yet; registered, but not served: names"
    assert said == expected
    assert refusal({}, None, monkeypatch).startswith("nothing is deployed here yet; run a recipe first")


def test_an_empty_question_is_refused(home: Path) -> None:
    with pytest.raises(RecipeError, match="question 2 of 2 is empty"):
        question.ask(["who is there", "\u3000\n"])


def test_hits_are_listed_one_below_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    told = {"id": "i", "source": "manual", "start": 0, "end": 9}
    hits = [
        {**told, "score": 0.91, "uri": "/a.md", "license": "MIT", "text": "Mean [of]\n\n  a window"},
        {**told, "score": 0.5, "uri": "/b.md", "license": None, "text": "x" * 1000},
    ]
    question.draw({"text": "rolling mean", "k": 2}, EndpointAnswer({"hits": hits}, "3"))
    drawn = " ".join(capsys.readouterr().out.split())
    assert drawn.startswith(
        "rolling mean → 2 hits (version 3) 0.910 /a.md MIT Mean [of] a window 0.500 /b.md xxx"
    )
    assert drawn.endswith("…")
    assert drawn.count("x") < 300


def test_a_question_to_an_endpoint_that_searches_asks_for_hits() -> None:
    command = question.as_curl("rolling mean", ["text"], "http://127.0.0.1:8000/v2/models/docs", hits=5)
    assert command.endswith("""-d '{"text": "rolling mean", "k": 5}'""")
