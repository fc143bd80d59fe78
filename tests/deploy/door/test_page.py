"""The page of the door, in a real browser: what each task is asked and how its answer looks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.door.page_files import FOLDER
from tests.browser import Browser, open_browser
from tests.deploy.door.conftest import ENDPOINTS
from tests.deploy.door.small_endpoints import WORDS

TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
SHOWN = "document.getElementById('answer')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


def choose(browser: Browser, door: str, endpoint: str) -> None:
    """Open the page anew, at an endpoint."""
    browser.visit("about:blank")
    browser.visit(f"{door}/#{endpoint}")
    browser.wait_for("is live.")
    assert browser.run("done(document.getElementById('endpoint').value)") == endpoint


def ask(browser: Browser, wait_for: str = "answered in", **fields: str) -> str:
    """The text of the page when the answer is there."""
    for name, text in fields.items():
        browser.run(f"document.getElementById('{name}').value = {json.dumps(text)}; done()")
    browser.run("document.getElementById('took').textContent = ''; done()")
    browser.run("document.getElementById('question').requestSubmit(); done()")
    return browser.wait_for(wait_for)


def texts(browser: Browser, selector: str) -> list[str]:
    found = f"[...document.querySelectorAll('{selector}')].map((one) => one.textContent)"
    return list(browser.run(f"done({found})"))


def test_labels_are_bars_and_text_is_never_html(browser: Browser, door: str) -> None:
    choose(browser, door, "labels")
    said = ask(browser, **{"field-text": "rain"})
    assert texts(browser, "#answer .said") == ["wet"]
    assert sorted(texts(browser, ".bars .name")) == ["<i>windy</i>", "dry", "wet"]
    assert browser.run(f"done({SHOWN}.querySelectorAll('i').length)") == 0
    assert re.search(r"Version 1 answered in [\d.]+ m?s\.", said)
    widths = browser.run("done([...document.querySelectorAll('.fill')].map((one) => one.offsetWidth))")
    assert widths[0] > 5 * widths[1] > 0


def test_names_are_marked_in_their_text(browser: Browser, door: str) -> None:
    choose(browser, door, "names")
    ask(browser, **{"field-text": "🙂🙂 rain in Hamburg and <b>in</b> Oslo"})
    assert texts(browser, "#answer mark") == ["HamburgLOC", "OsloLOC"]
    assert texts(browser, ".marked") == ["🙂🙂 rain in HamburgLOC and <b>in</b> OsloLOC"]
    ask(browser, wait_for="no names", **{"field-text": "rain"})


def test_an_answer_is_marked_in_its_context_and_seen(browser: Browser, door: str) -> None:
    choose(browser, door, "passages")
    long = "🙂 rain and sun \n" * 200
    ask(browser, **{"field-question": "who", "field-context": f"{long}Jane Doe {long}"})
    assert texts(browser, "#answer .said") == texts(browser, "#answer mark") == ["Jane Doe"]
    place = "const one = document.querySelector('mark').getBoundingClientRect(), "
    place += "box = document.querySelector('.context').getBoundingClientRect(); "
    assert browser.run(place + "done(one.top > box.top && one.bottom < box.bottom)")
    ask(browser, wait_for="The text does not say it.", **{"field-question": "who", "field-context": "rain"})


def test_a_vector_is_drawn_and_texts_are_compared(browser: Browser, door: str) -> None:
    choose(browser, door, "vectors")
    assert "4 numbers" in ask(browser, **{"field-text": "sun"})
    ask(browser, wait_for="nearest first", **{"field-text": "rain sun", "field-compared": "six\nsun\n"})
    browser.wait_for("answered in")
    assert texts(browser, ".bars .name")[0] == "sun"  # the second of a pair has "rain" before it
    assert texts(browser, ".bars .number")[0] == "1.000"


def test_two_texts_are_alike_to_a_number(browser: Browser, door: str) -> None:
    choose(browser, door, "alike")
    ask(browser, **{"field-first": "sun rain", "field-second": "rain sun"})
    assert texts(browser, "#answer .said") == texts(browser, ".bars .number") == ["1.000"]


def test_entities_are_marked_by_a_button(browser: Browser, door: str) -> None:
    """As an endpoint for relations is asked."""
    choose(browser, door, "labels")
    one = {"name": "lives", "version": 2, "task": "relations", "inputs": ["text"], "parameters": []}
    told = json.dumps(json.dumps({"endpoints": [one]}))
    browser.run(f"window.fetch = async () => new Response({told}); location.hash = 'lives'; done()")
    browser.wait_for("Says how two marked entities of a text are related. Version 2 is live.")
    mark = "const field = document.getElementById('field-text'); field.value = 'Ada in Oslo';"
    for place, (start, end) in enumerate([(0, 3), (16, 20)]):
        mark += f"field.setSelectionRange({start}, {end}); "
        mark += f"document.querySelectorAll('#fields button')[{place}].click(); "
    assert browser.run(f"{mark} done(field.value)") == "<e1>Ada</e1> in <e2>Oslo</e2>"


def test_hits_are_listed(browser: Browser, door: str) -> None:
    """As an endpoint with a collection answers."""
    choose(browser, door, "vectors")
    hit = {"id": "a", "score": 0.8125, "source": "docs", "uri": "file:x#<b>", "license": "MIT", "text": "<i>"}
    answer = {"model": "search", "version": 7, "milliseconds": 4.2, "answer": {"hits": [hit]}}
    browser.run(f"window.fetch = async () => new Response({json.dumps(json.dumps(answer))}); done()")
    assert "Version 7 answered in 4.2 ms." in ask(browser, **{"field-text": "sun"})
    assert texts(browser, ".hits .head *") == ["0.813", "file:x#<b>", "docs", "MIT"]
    assert texts(browser, ".hits .text") == ["<i>"]


def test_a_conversation_streams_in_and_goes_on(browser: Browser, door: str) -> None:
    choose(browser, door, "chat")
    said = ask(browser, wait_for="wrote", **{"field-message": "rain"})
    assert re.search(rf"Version 1 wrote {len(WORDS)} tokens in [\d.]+ m?s, the first after", said)
    assert texts(browser, "#conversation li") == ["You: rain", f"chat: {' '.join(WORDS)}"]
    assert browser.run("done(document.querySelectorAll('#conversation b').length)") == 0
    ask(browser, wait_for="wrote 2 tokens", **{"field-message": "sun", "option-max_tokens": "2"})
    assert texts(browser, "#conversation li")[2:] == ["You: sun", f"chat: {' '.join(WORDS[:2])}"]
    refused = {"field-message": "more", "option-max_tokens": "99999"}
    ask(browser, wait_for="max_tokens is 99999; give a whole number from 1 to 4095", **refused)
    assert len(texts(browser, "#conversation li")) == 4
    assert browser.run("done(document.getElementById('field-message').value)") == "more"
    choose(browser, door, "translate")
    ask(browser, wait_for="wrote", **{"field-text_input": "rain"})
    assert texts(browser, "#answer") == [" ".join(WORDS)]


def test_who_stops_or_goes_elsewhere_ends_the_writing(browser: Browser, door: str, counted: Path) -> None:
    choose(browser, door, "slow")
    for leave in ("", "document.getElementById('stop').click()", "location.hash = 'labels'"):
        counted.unlink(missing_ok=True)
        ask(browser, wait_for="Stop", **{"field-message": "rain", "option-max_tokens": "2000"})
        while not counted.exists():
            time.sleep(0.05)
        if leave:
            browser.run(f"{leave}; done()")
        else:
            browser.press(ESCAPE)
        time.sleep(0.4)
        before = counted.stat().st_size
        time.sleep(0.4)
        assert counted.stat().st_size == before
    assert texts(browser, "#conversation li") == []
    assert browser.wait_for("Gives a text its label.")


def test_the_keyboard_is_enough(browser: Browser, door: str) -> None:
    choose(browser, door, "chat")
    browser.run("document.activeElement.blur(); done()")
    browser.press(TAB, *"labels", TAB, *"sun", TAB, ENTER)
    browser.wait_for("answered in")
    assert texts(browser, "#answer .said") == ["dry"]
    choose(browser, door, "chat")
    browser.run("document.getElementById('field-message').focus(); done()")
    browser.press(*"rain", ENTER)
    browser.wait_for(WORDS[-1])


def test_the_key_is_asked_for_and_not_kept(browser: Browser, locked_door: str) -> None:
    browser.visit(f"{locked_door}/#labels")
    for key, then in (("sk-wrong", "This is not the key."), ("sk-right", "Gives a text its label.")):
        browser.wait_for("Key of this server")
        browser.run(f"document.getElementById('secret').value = '{key}'; done()")
        browser.run("document.getElementById('key').requestSubmit(); done()")
        browser.wait_for(then)
    assert "wet" in ask(browser, **{"field-text": "rain"})
    kept = "JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])"
    assert "sk-right" not in browser.run(f"done({kept})")
    browser.visit("about:blank")
    browser.visit(f"{locked_door}/")
    browser.wait_for("Key of this server")


def test_it_fits_a_narrow_window_and_everything_has_a_label(browser: Browser, door: str) -> None:
    browser.look_like(320, "dark")
    long = "W" * 300
    fields = {"chat": {"field-message": long}, "translate": {"field-text_input": long}}
    fields["alike"] = {"field-first": long, "field-second": "rain"}
    fields["passages"] = {"field-question": long, "field-context": f"{long} Jane Doe"}
    try:
        for endpoint in ENDPOINTS:
            choose(browser, door, endpoint)
            browser.run("document.getElementById('settings').open = true; done()")
            entered = "[...document.querySelectorAll('input, select, textarea')]"
            assert browser.run(f"done({entered}.length)") > 1
            assert browser.run(f"done({entered}.filter((one) => !one.labels.length).length)") == 0
            written = ENDPOINTS[endpoint] in ("instructions", "seq2seq")
            ask(browser, "wrote" if written else "answered in", **fields.get(endpoint, {"field-text": long}))
            assert browser.run("done(document.documentElement.scrollWidth - innerWidth)") <= 0, endpoint
    finally:
        browser.look_like(1000, "light")


def test_the_page_loads_nothing_from_elsewhere_and_runs_no_other_script(browser: Browser, door: str) -> None:
    choose(browser, door, "labels")
    loaded = browser.run("done(performance.getEntriesByType('resource').map((one) => one.name))")
    assert loaded
    assert all(address.startswith(f"{door}/") for address in loaded)
    html = "try { document.body.innerHTML = 'x'; done('set'); } catch (error) { done(error.name); }"
    assert browser.run(html) == "TypeError"
    foreign = """
        addEventListener('securitypolicyviolation', (event) => done(event.violatedDirective));
        const picture = document.createElement('img');
        picture.src = 'http://127.0.0.1:9/x';
        document.body.append(picture);
    """
    assert browser.run(foreign) == "img-src"
    source = httpx.get(door).text + (FOLDER / "page.js").read_text(encoding="utf-8")
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son\w+=|style="
    assert not re.search(ways, source)


def _luminance(colour: str) -> float:
    wide = colour * 2 if len(colour) == 3 else colour
    shares = [int(wide[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_can_be_read_by_day_and_by_night() -> None:
    """Contrast of 4.5 at least (WCAG 2.2, 1.4.3)."""
    style = (FOLDER / "page.css").read_text(encoding="utf-8")
    for part in style.split("@media (prefers-color-scheme: dark)")[:2]:
        colours: dict[str, Any] = dict(re.findall(r"--([\w-]+): #([0-9a-f]{3,6});", part))
        grounds = ("paper", "panel", *(f"k{number}" for number in range(6)))
        pairs = [("ink", ground) for ground in grounds] + [("on-accent", "accent")]
        pairs += [(name, "paper") for name in ("soft", "accent", "bad")]
        for one, other in pairs:
            lighter, darker = sorted((_luminance(colours[one]), _luminance(colours[other])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (one, other)
