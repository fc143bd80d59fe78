"""Endpoints that search: asked as strangers and as our own client ask them, through a real Triton."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy import client, live
from deploy.errors import TritonError
from deploy.triton_server import TritonServer
from model_code.fine_tuning import fine_tune
from model_code.onnx_export import export_model
from model_code.served import form_of
from model_code.served.collection import FOLDER, MOST_HITS, VECTORS
from tasks.deployment.collection_files import CollectionWriter, Searched
from tasks.deployment.parity import difference_of_hits
from tasks.index import sign
from tests.model_code.checkpoints import published
from tests.model_code.conftest import quiet_reporter
from tests.model_code.test_any_architecture import example, job_of

NAME = "searching"
SECONDS = 60


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the task, with a prompt for each side, as `export` writes it."""
    home = tmp_path_factory.mktemp("matching")
    prompts = {"first_prompt": "user ", "second_prompt": "assistant "}
    fine_tune(
        job_of(published("bert", home / "published"), home, "matching", options=prompts), quiet_reporter()
    )
    export_model(home / "output" / "model", home / "onnx", {"pairs": False, "words": "", "metadata": {}})
    return home / "onnx"


def texts(seed: int, count: int) -> list[str]:
    """Texts of which no two are the same."""
    rng = random.Random(seed)
    return [f"{example('matching', rng)['second']} {chr(97 + n % 26) * (n + 1)}" for n in range(count)]


def indexed(exported: Path, folder: Path, found: Sequence[str], source: str) -> Path:
    """The exported folder with a collection of texts."""
    shutil.copytree(exported, folder)
    with CollectionWriter(folder / FOLDER, form_of("matching")(exported)) as writer:
        writer.add(
            Searched(f"{source}-{n}", text, source, f"/{source}/{n}", "CC0") for n, text in enumerate(found)
        )
    sign(folder)
    return folder


@pytest.fixture(scope="module")
def versions(
    exported: Path, server: TritonServer, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Path]:
    """Folders of two versions with the same model and two collections; the first is live."""
    place = tmp_path_factory.mktemp("versions")
    made = {
        1: indexed(exported, place / "1", texts(1, 40), "old"),
        2: indexed(exported, place / "2", texts(2, 50), "new"),
    }
    live.stage_version(server, NAME, 1, made[1])
    live.go_live(server, NAME, 1)
    return made.__getitem__


def ask(server: TritonServer, questions: Sequence[Any], name: str = NAME) -> list[Any]:
    return client.ask(questions, name, http_port=server.http_port, timeout=SECONDS)


def test_one_request_in_json_gives_the_nearest_documents(versions: Any, server: TritonServer) -> None:
    form = form_of("matching")(versions(1), threads=1)
    url = f"http://127.0.0.1:{server.http_port}/v2/models/{NAME}"
    answer = httpx.post(f"{url}/generate", json={"text": "movi", "k": 3}, timeout=SECONDS).json()
    (expected,) = form.answers([{"text": "movi", "k": 3}])
    hits = json.loads(answer["json"])["hits"]
    assert difference_of_hits(expected["hits"], hits) < 1e-5
    assert len(hits) == 3
    assert hits[0].keys() == {"id", "score", "source", "uri", "license", "start", "end", "text"}
    # By the model's own vectors, of which each is compared with the question's.
    (question,) = form.vectors([("first", "movi")])
    cosines = {
        f"old-{n}": float(vector @ question)
        for n, vector in enumerate(form.vectors([("second", text) for text in texts(1, 40)]))
    }
    best = sorted(cosines, key=lambda id: -cosines[id])[:3]
    assert [hit["score"] for hit in hits] == pytest.approx([cosines[id] for id in best], abs=1e-5)
    assert "embedding" not in json.loads(answer["json"])
    assert answer["embedding"] == []
    assert answer["scores"] == pytest.approx([hit["score"] for hit in hits])
    assert client.searches(NAME, http_port=server.http_port)


def test_every_document_is_found_by_its_own_text(versions: Any, server: TritonServer) -> None:
    asked = [{"text": text, "side": "second", "k": 1} for text in texts(1, 40)]
    for number, answer in enumerate(ask(server, asked)):
        (hit,) = answer.content["hits"]
        assert hit["score"] == pytest.approx(1, abs=1e-5)
        assert hit["id"] == f"old-{number}"


def test_the_vector_is_still_to_be_had_and_more_than_there_is_are_all(
    versions: Any, server: TritonServer
) -> None:
    plain, listed = ask(server, [{"text": "movi"}, {"text": "movi", "k": MOST_HITS}])
    size = form_of("matching")(versions(1)).graph.settings["dimensions"]
    assert len(plain.content["embedding"]) == size
    assert len(listed.content["hits"]) == 40
    scores = [hit["score"] for hit in listed.content["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_a_client_of_grpc_gets_scores_and_hits(versions: Any, server: TritonServer) -> None:
    import numpy as np
    import tritonclient.grpc as grpc

    with grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as asked:
        text = grpc.InferInput("text", [2, 1], "BYTES")
        text.set_data_from_numpy(np.array([[b"movi"], [b"bate"]], np.object_))
        found = asked.infer(NAME, [text], parameters={"k": 4})
        plain = asked.infer(NAME, [text])
    hits = [json.loads(one)["hits"] for one in found.as_numpy("json").reshape(-1)]
    assert found.as_numpy("scores").tolist() == [pytest.approx([hit["score"] for hit in of]) for of in hits]
    assert found.as_numpy("embedding").shape == (2, 0)
    assert plain.as_numpy("scores").shape == (2, 0)
    assert plain.as_numpy("embedding").shape[0] == 2


@pytest.mark.parametrize("k", [0, -1, MOST_HITS + 1, 10**9, True, "5", 2.5])
def test_k_out_of_range_is_refused_with_the_bound(versions: Any, server: TritonServer, k: Any) -> None:
    with pytest.raises(TritonError, match=f"k is .*; give a whole number from 1 to {MOST_HITS}"):
        ask(server, [{"text": "movi", "k": k}])
    assert ask(server, [{"text": "movi", "k": 1}])[0].content["hits"]


def test_an_endpoint_without_a_collection_says_so(
    exported: Path, versions: Any, server: TritonServer
) -> None:
    live.stage_version(server, "plain", 1, exported)
    live.go_live(server, "plain", 1)
    assert not client.searches("plain", http_port=server.http_port)
    with pytest.raises(TritonError, match="this model has no collection to search"):
        ask(server, [{"text": "movi", "k": 1}], "plain")


def test_two_versions_with_two_collections_do_not_mix(versions: Any, server: TritonServer) -> None:
    asked = [{"text": text, "k": 10} for text in ("movi", "bate", *texts(1, 3), *texts(2, 3))]

    def sources(name: str) -> set[tuple[str, str]]:
        answers = ask(server, asked, name)
        return {(answer.model_version, hit["source"]) for answer in answers for hit in answer.content["hits"]}

    candidate = live.stage_version(server, NAME, 2, versions(2))
    assert sources(candidate) == {("2", "new")}
    assert sources(NAME) == {("1", "old")}
    live.go_live(server, NAME, 2)
    assert sources(NAME) == {("2", "new")}
    live.roll_back(server, NAME)
    assert sources(NAME) == {("1", "old")}
    live.discard(server, NAME, 2)


def test_a_damaged_collection_is_refused_and_the_version_before_goes_on(
    versions: Any, server: TritonServer, tmp_path: Path
) -> None:
    folder = shutil.copytree(versions(2), tmp_path / "damaged")
    vectors = folder / FOLDER / VECTORS
    vectors.write_bytes(bytes(4) * (vectors.stat().st_size // 4))
    with pytest.raises(TritonError, match="vectors that are not of length 1"):
        live.stage_version(server, NAME, 3, folder)
    assert ask(server, [{"text": "movi", "k": 1}])[0].model_version == "1"
