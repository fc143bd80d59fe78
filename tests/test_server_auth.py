"""The log-ins of Prefect and MLflow, tried as another user and as a page in the owner's browser."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tasks.tracking.auth_middleware import basic
from tests.browser import Browser, open_browser, stranger

ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/0/planted.py"
FOREIGN = "http://127.0.0.1:9999"
FLOW = {"name": "planted"}


def flows(mill: Any) -> list[str]:
    """The names of all flows that Prefect knows."""
    return [flow["name"] for flow in mill.client("PREFECT").post("/api/flows/filter", json={}).json()]


def planted(mill: Any) -> list[str]:
    """What a stranger managed to leave."""
    found = [str(path) for path in (mill.home / "mlflow" / "artifacts").rglob("planted*")]
    return found + [name for name in flows(mill) if name.startswith("planted")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": basic("guess")}, 401),
        ({"Authorization": "KEY", "Host": "rebound.example:5000"}, 403),
        ({"Authorization": "KEY", "Origin": FOREIGN}, 403),
        ({"Authorization": "KEY", "Origin": "null"}, 403),
        ({"Authorization": "KEY", "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}, 403),
    ],
)
def test_a_stranger_leaves_nothing(mill: Any, headers: dict[str, str], status: int) -> None:
    headers = {
        name: basic(mill.credentials[1]) if value == "KEY" else value for name, value in headers.items()
    }
    csrf = {name: value for name, value in mill.client("PREFECT").headers.items() if "csrf" in name}
    answers = [
        httpx.put(mill.url("MLFLOW") + ARTIFACT, content=b"import os", headers=headers),
        httpx.post(mill.url("MLFLOW") + "/api/2.0/mlflow/experiments/create", json=FLOW, headers=headers),
        httpx.post(mill.url("PREFECT") + "/api/flows/", json=FLOW, headers=headers | csrf),
        httpx.get(mill.url("PREFECT") + "/", headers=headers),
        httpx.get(mill.url("MLFLOW") + "/", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [status] * len(answers)
    assert not [name for answer in answers for name in answer.headers if name.startswith("access-control")]
    assert planted(mill) == []


def test_prefect_wants_its_csrf_token_too(mill: Any) -> None:
    answer = httpx.post(mill.url("PREFECT") + "/api/flows/", json=FLOW, auth=mill.credentials)
    assert (answer.status_code, answer.json()["detail"]) == (403, "Missing CSRF token.")


@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
def test_websockets_open_for_who_has_the_key_and_for_no_other_page(mill: Any, path: str) -> None:
    url, key = mill.url("PREFECT").replace("http", "ws") + path, basic(mill.credentials[1])
    own, prefect = Origin(mill.url("PREFECT")), [Subprotocol("prefect")]
    for headers, origin in (({}, None), ({"Authorization": key}, Origin(FOREIGN)), ({}, own)):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, additional_headers=headers, origin=origin, subprotocols=prefect)
        assert refused.value.response.status_code == 403
    with connect(url, additional_headers={"Authorization": key}, origin=own, subprotocols=prefect) as socket:
        socket.send(json.dumps({"type": "auth", "token": None}))
        assert json.loads(socket.recv())["type"] == "auth_success"


def test_without_log_ins_origins_and_hosts_still_hold(open_mill: Any, tmp_path: Path) -> None:
    with open_mill(
        tmp_path / "home", TEXTMILL_LOGIN="off", TEXTMILL_HOSTS="mill.example.org"
    ) as open_to_users:
        program = "from flows import servers; print(servers.start('mlflow'))"
        subprocess.run([sys.executable, "-c", program], env=open_to_users.environment, check=True)
        url = open_to_users.url("MLFLOW")
        assert re.search(rf"running   pid \d+  {url}$", open_to_users("status", code=1), re.M)
        create = f"{url}/api/2.0/mlflow/experiments/create"
        for headers in ({"Origin": FOREIGN}, {"Host": "rebound.example"}, {"Origin": "null"}):
            assert httpx.post(create, json=FLOW, headers=headers).status_code == 403
        assert httpx.post(create, json={"name": "own"}, headers={"Origin": url}).status_code == 200
        assert httpx.get(url, headers={"Host": "mill.example.org"}).status_code == 200


def test_textmill_env_is_all_that_another_program_needs(mill: Any, tmp_path: Path) -> None:
    program = """
import mlflow
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    print(mlflow.search_experiments()[-1].name, client.create_flow_from_name("by-hand"))
"""
    script = f"{mill('env')}\ncd {tmp_path} && {shlex.quote(sys.executable)} -c '{program}'"
    bare = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    output = subprocess.run(
        ["sh", "-ec", script], env=bare, check=True, capture_output=True, encoding="utf-8"
    )
    assert output.stdout.split()[-2] == "Default"
    assert "by-hand" in flows(mill)


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with open_browser(tmp_path / "profile") as opened:
        yield opened


def links(mill: Any) -> dict[str, str]:
    """What `textmill status` prints as the servers' addresses."""
    lines = [line.split() for line in mill("status").splitlines()]
    return {line[0]: line[-1] for line in lines if line[0] in ("prefect", "mlflow", "triton")}


def test_the_printed_links_open_pages_that_work(mill: Any, browser: Browser) -> None:
    printed = links(mill)
    browser.visit(f"{printed['mlflow']}?next=/%23/experiments")
    browser.wait_for("Default")
    assert browser.address == f"{mill.url('MLFLOW')}/#/experiments"  # without credentials
    mill.client("PREFECT").post("/api/flows/", json={"name": "seen"}).raise_for_status()
    browser.visit(f"{printed['prefect']}?next=/flows")
    browser.wait_for("seen")
    assert browser.address == f"{mill.url('PREFECT')}/flows"
    own = mill.url("PREFECT").replace("http", "ws") + "/api/events/out"
    tell = "socket.onopen = () => done('open'); socket.onerror = () => done('refused')"
    assert browser.run(f"const socket = new WebSocket('{own}', 'prefect'); {tell}") == "open"


def test_a_page_in_a_logged_in_browser_can_send_nothing(mill: Any, browser: Browser) -> None:
    mlflow, prefect = mill.url("MLFLOW"), mill.url("PREFECT")
    forms = "".join(
        f"""<form method=post target=t{n} enctype=text/plain action="{url}">
        <input name='{{"name":"planted","x":"' value='"}}'></form><iframe name=t{n}></iframe>"""
        for n, url in enumerate((f"{mlflow}/api/2.0/mlflow/experiments/create", f"{prefect}/api/flows/"))
    )
    page = f"""<body>{forms}<script>
    async function attack() {{
        for (const form of document.forms) form.submit();
        const tell = {{credentials: "include", mode: "no-cors"}}, out = [], body = '{{"name": "planted"}}';
        const ask = async (url, how) => {{
            try {{ out.push((await (await fetch(url, {{...tell, ...how}})).text()).length) }}
            catch (error) {{ out.push("refused") }}
        }};
        await ask("{mlflow}{ARTIFACT}", {{method: "PUT", mode: "cors", body: "import os"}});
        await ask("{mlflow}/api/2.0/mlflow/experiments/create", {{method: "POST", body}});
        await ask("{prefect}/api/flows/", {{method: "POST", body}});
        await ask("{prefect}/api/csrf-token?client=x", {{mode: "cors"}});
        await ask("{mlflow}/api/2.0/mlflow/experiments/search?max_results=5", {{mode: "cors"}});
        out.push(await new Promise(answer => {{
            const socket = new WebSocket("{prefect.replace("http", "ws")}/api/events/in", "prefect");
            socket.onopen = () => answer("open");
            socket.onerror = () => answer("refused");
        }}));
        return out;
    }}
    </script>"""
    for link in links(mill).values():
        browser.visit(link)
    with stranger(page) as address:
        browser.visit(address)
        outcome = browser.run("attack().then(done)")
        # The two that a page may send without asking get an answer that it can't read.
        assert outcome == ["refused", 0, 0, "refused", "refused", "refused"]
        experiments = mill.client("MLFLOW").get("/api/2.0/mlflow/experiments/search?max_results=99").json()
        assert not [found for found in experiments["experiments"] if found["name"].startswith("planted")]
        assert planted(mill) == []
