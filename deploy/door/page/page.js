// The page of the door: pick an endpoint, ask, look at the answer.
// What comes from a server is text here and is never read as HTML: all of it goes through `make`.

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const FIRST_BARS = 8, MOST_COMPARED = 20;

let endpoints = [], chosen = null, key = "", waiting = null, conversation = [];

const TASKS = {
  classification: "Gives a text its label.",
  multi_label: "Gives a text all its labels.",
  relations: "Says how two marked entities of a text are related.",
  token_classification: "Finds the names in a text.",
  question_answering: "Finds the passage of a text that answers a question.",
  matching: "Makes a vector of a text, close to those of texts that belong to it.",
  similarity: "Says how alike two texts are.",
  seq2seq: "Writes a text for a text, such as its translation.",
  instructions: "Replies to what you write.",
  preference: "Replies to what you write.",
};
// What a person calls the strings of a question; `lines` is how high its field is, 1 a single line.
const FIELDS = {
  text: { label: "Text", lines: 3 },
  first: { label: "First text", lines: 2 },
  second: { label: "Second text", lines: 2 },
  question: { label: "Question", lines: 1 },
  context: { label: "Text that may answer it", lines: 7 },
  text_input: { label: "Text", lines: 4 },
  message: { label: "Message", lines: 2 },
  compared: { label: `Compare with, one text a line (at most ${MOST_COMPARED}; may stay empty)`, lines: 3, free: true },
};
const OPTIONS = {
  max_tokens: { label: "Most tokens", kind: "number", min: 1, step: 1 },
  temperature: { label: "Temperature (0 to 2)", kind: "number", min: 0, max: 2, step: "any", hint: "likeliest" },
  top_p: { label: "Top p (0 to 1)", kind: "number", min: 0, max: 1, step: "any" },
  seed: { label: "Seed", kind: "number", min: 0, step: 1 },
  stop: { label: "Stop at", kind: "text" },
  k: { label: "Hits", kind: "number", min: 1, max: 100, step: 1, value: 5 },
  divided: { label: "Words are divided", choices: ["", "spaces", "signs", "characters"] },
  side: { label: "The text is", choices: ["first", "second"] },
};

// --- asking ---------------------------------------------------------------------------------------------------

class Told extends Error {}

async function request(path, body, signal) {
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const how = body ? { method: "POST", body: JSON.stringify(body) } : {};
  if (body) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { ...how, headers, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Told("The server does not answer; whoever runs it starts it with `textmill up`.");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) askForKey(key !== "");
  throw new Told(said.error?.message ?? `The server answered ${response.status}.`);
}

async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new Told(event.error.message);
      yield event;
    }
  }
}

async function look() {
  try {
    endpoints = (await (await request("/endpoints")).json()).endpoints;
  } catch (error) {
    if (byId("key").hidden) tell(error);
    return;
  }
  byId("key").hidden = true;
  tell(null);
  const names = endpoints.map(({ name }) => make("option", { value: name }, name));
  byId("endpoint").replaceChildren(...names);
  byId("endpoint").disabled = !endpoints.length;
  if (!endpoints.length) {
    byId("about").textContent = "No model is served yet. `textmill run python-docs` trains and deploys one.";
    return;
  }
  const wanted = decodeURIComponent(location.hash.slice(1));
  choose(endpoints.find(({ name }) => name === wanted) ?? endpoints[0]);
}

function askForKey(wasWrong) {
  byId("key").hidden = false;
  for (const id of ["question", "conversation", "answer"]) byId(id).hidden = true;
  byId("took").textContent = "";
  tell(wasWrong ? new Told("This is not the key.") : null);
  byId("secret").focus();
}

// --- the form -------------------------------------------------------------------------------------------------

function choose(endpoint) {
  waiting?.abort();
  waiting = null;
  chosen = endpoint;
  document.title = `${endpoint.name} · textmill`;
  byId("endpoint").value = endpoint.name;
  history.replaceState(null, "", `#${encodeURIComponent(endpoint.name)}`);
  about(endpoint.version);
  conversation = [];
  byId("conversation").replaceChildren();
  byId("conversation").hidden = true;
  byId("answer").hidden = true;
  byId("took").textContent = "";
  tell(null);
  byId("fields").replaceChildren(...fieldsOf(endpoint).map(field));
  const options = optionsOf(endpoint);
  byId("options").replaceChildren(...options.map(option));
  byId("settings").hidden = !options.length;
  byId("ask").textContent = endpoint.replies ? "Send" : endpoint.searches ? "Search" : "Ask";
  byId("keys").textContent = endpoint.replies ? "Enter sends, Shift + Enter is a new line" : "Ctrl + Enter asks";
  byId("anew").hidden = true;
  byId("question").hidden = false;
  if (matchMedia("(hover: hover)").matches) byId("fields").querySelector("textarea, input").focus();
}

function about(version) {
  const words = chosen.searches ? "Finds the documents nearest to a text." : TASKS[chosen.task] ?? "";
  byId("about").textContent = `${words} Version ${version} is live.`.trim();
}

function fieldsOf(endpoint) {
  if (endpoint.replies) return ["message"];
  if (endpoint.embeds && !endpoint.searches) return [...endpoint.inputs, "compared"];
  return endpoint.inputs;
}

function optionsOf(endpoint) {
  if (endpoint.writes) return ["max_tokens", "temperature", "top_p", "seed", "stop"];
  // What is compared says by its field which side it is.
  return endpoint.parameters.filter((name) => name !== "side");
}

function field(name) {
  const { label, lines, free } = FIELDS[name] ?? { label: name, lines: 2 };
  const what = lines === 1 ? { type: "text" } : { rows: lines };
  const input = make(lines === 1 ? "input" : "textarea", { id: `field-${name}`, name, required: !free, ...what });
  const parts = [make("label", { for: input.id }, label), input];
  if (chosen.task === "relations") parts.push(markers(input));
  return make("div", { class: "field" }, ...parts);
}

function markers(input) {
  const mark = (tag) => () => {
    const { selectionStart: from, selectionEnd: to, value } = input;
    input.setRangeText(`<${tag}>${value.slice(from, to)}</${tag}>`, from, to, "end");
    input.focus();
  };
  const buttons = ["e1", "e2"].map((tag, place) => {
    const button = make("button", { type: "button", class: "quiet small" }, `Mark as ${["first", "second"][place]}`);
    button.addEventListener("click", mark(tag));
    return button;
  });
  return make("div", { class: "row" }, ...buttons, make("span", { class: "hint" }, "Select an entity, then mark it."));
}

function option(name) {
  const { label, kind, choices, hint, ...bounds } = OPTIONS[name] ?? { label: name, kind: "text" };
  const id = `option-${name}`;
  const choice = (value) => make("option", { value }, value || "as in training");
  const input = choices
    ? make("select", { id, name }, ...choices.map(choice))
    : make("input", { id, name, type: kind, placeholder: hint ?? "", ...bounds });
  return make("div", { class: "field" }, make("label", { for: id }, label), input);
}

function entered() {
  const said = {};
  for (const input of byId("question").elements) {
    if (input.name && input.value !== "") said[input.name] = input.type === "number" ? Number(input.value) : input.value;
  }
  return said;
}

// --- what happens when somebody asks --------------------------------------------------------------------------

async function ask() {
  if (waiting && chosen.writes) return; // `Stop` comes first
  waiting?.abort();
  const mine = (waiting = new AbortController());
  tell(null);
  byId("took").textContent = "";
  byId("answer").setAttribute("aria-busy", "true");
  try {
    const said = entered();
    if (chosen.writes) await write(said, mine);
    else await answer(said, mine.signal);
  } catch (error) {
    if (waiting === mine && error.name !== "AbortError") {
      byId("answer").hidden = true;
      tell(error);
    }
  } finally {
    if (waiting === mine) {
      waiting = null;
      byId("answer").setAttribute("aria-busy", "false");
      byId("stop").hidden = true;
    }
  }
}

async function answer({ compared, ...said }, signal) {
  const path = `/ask/${encodeURIComponent(chosen.name)}`;
  const others = (compared ?? "").split("\n").map((line) => line.trim()).filter(Boolean).slice(0, MOST_COMPARED);
  const bodies = [said, ...others.map((text) => ({ text, side: "second" }))];
  const responses = await Promise.all(bodies.map((body) => request(path, body, signal)));
  const [first, ...rest] = await Promise.all(responses.map((response) => response.json()));
  const shown = others.length
    ? [cosines(first.answer.embedding, others, rest.map(({ answer }) => answer.embedding))]
    : drawn(first.answer, said);
  show(shown);
  about(first.version);
  byId("took").textContent = `Version ${first.version} answered in ${duration(first.milliseconds)}.`;
}

async function write(said, mine) {
  const { message, text_input: prompt, ...how } = said;
  if (how.stop !== undefined) how.stop = [how.stop];
  const common = { model: chosen.name, stream: true, stream_options: { include_usage: true }, ...how };
  const path = chosen.replies ? "/v1/chat/completions" : "/v1/completions";
  const body = chosen.replies
    ? { ...common, messages: [...conversation, { role: "user", content: message }] }
    : { ...common, prompt };
  byId("stop").hidden = false;
  const place = chosen.replies ? turns(message) : written();
  const begun = performance.now();
  let text = "", reason = "", usage = null, version = chosen.version, first = null;
  try {
    for await (const event of eventsOf(await request(path, body, mine.signal))) {
      version = /-v(\d+)$/.exec(event.system_fingerprint)?.[1] ?? version;
      usage = event.usage ?? usage;
      const [choice] = event.choices;
      const piece = choice?.delta?.content ?? choice?.text ?? "";
      if (piece && first === null) first = performance.now() - begun;
      reason = choice?.finish_reason ?? reason;
      place.textContent = text += piece;
    }
  } catch (error) {
    if (waiting !== mine) return; // somebody went to another endpoint, and all of this is gone
    if (!text && chosen.replies) forget(message);
    if (error.name !== "AbortError") throw error;
    reason = "stopped";
  } finally {
    place.classList.remove("writing");
    byId("conversation").setAttribute("aria-busy", "false");
  }
  if (waiting !== mine) return;
  if (chosen.replies && text) conversation.push({ role: "user", content: message }, { role: "assistant", content: text });
  if (!text && reason !== "stopped") place.textContent = "(it wrote nothing)";
  about(version);
  byId("took").textContent = said_of(version, reason, usage, first, performance.now() - begun);
}

function said_of(version, reason, usage, first, whole) {
  const ends = { stop: "", length: " It ended at its greatest length.", stopped: " It was stopped." };
  const wrote = usage ? `${usage.completion_tokens} tokens in ${duration(whole)}` : duration(whole);
  const begun = first === null ? "" : `, the first after ${duration(first)}`;
  return `Version ${version} wrote ${wrote}${begun}.${ends[reason] ?? ""}`;
}

function turns(message) {
  const list = byId("conversation");
  const turn = (who, name, said) =>
    make("li", { class: who }, make("span", { class: "visually-hidden" }, `${name}: `), said);
  const said = make("span", { class: "writing" });
  list.append(turn("user", "You", message), turn("assistant", chosen.name, said));
  list.hidden = false;
  list.setAttribute("aria-live", "polite");
  list.setAttribute("aria-busy", "true");
  byId("field-message").value = "";
  byId("anew").hidden = false;
  byId("question").scrollIntoView({ block: "nearest" });
  return said;
}

function forget(message) {
  const list = byId("conversation");
  list.lastChild?.remove();
  list.lastChild?.remove();
  list.hidden = byId("anew").hidden = !list.children.length;
  byId("field-message").value = message;
}

function written() {
  const place = make("p", { class: "text writing" });
  show([place]);
  return place;
}

// --- how answers look -----------------------------------------------------------------------------------------

function drawn(said, question) {
  if (said.hits) return [hits(said.hits)];
  if (said.probabilities) return labels(said);
  if (said.entities) return entities(said.entities, question.text);
  if ("answer" in said) return passage(said, question.context);
  if ("score" in said) return [make("p", { class: "said" }, said.score.toFixed(3)), bars([["alike", said.score]])];
  if (said.embedding) return [vector(said.embedding)];
  return [make("p", { class: "text" }, JSON.stringify(said, null, 2))];
}

function labels({ label, labels: several, probabilities }) {
  const told = several ? several.join(", ") || "no label" : label;
  const ranked = Object.entries(probabilities).sort(([, one], [, other]) => other - one);
  const first = bars(ranked.slice(0, FIRST_BARS), several ?? [label]);
  const parts = [make("p", { class: "said" }, told), first];
  if (ranked.length > FIRST_BARS) {
    const rest = bars(ranked.slice(FIRST_BARS), several ?? []);
    parts.push(make("details", {}, make("summary", {}, `${ranked.length - FIRST_BARS} more`), rest));
  }
  return parts;
}

function bars(pairs, bold = []) {
  return make("ol", { class: "bars" }, ...pairs.map(([name, value]) => {
    const fill = make("div", { class: "fill" });
    fill.style.width = `${Math.max(0, Math.min(1, value)) * 100}%`;
    const track = make("div", { class: "track", "aria-hidden": "true" }, fill);
    const emphasis = bold.includes(name) ? " chosen" : "";
    return make("li", {}, make("span", { class: `name${emphasis}` }, name), track,
      make("span", { class: "number" }, value.toFixed(3)));
  }));
}

// Places are counted in characters; strings of JavaScript count some of them twice.
function marked(text, places, kinds) {
  const characters = Array.from(text), parts = [];
  let from = 0;
  for (const { start, end, type } of places) {
    parts.push(characters.slice(from, start).join(""));
    const inside = characters.slice(start, end).join("");
    const kind = type ? [make("small", {}, type)] : [];
    parts.push(make("mark", { class: `k${Math.max(0, kinds.indexOf(type)) % 6}` }, inside, ...kind));
    from = end;
  }
  parts.push(characters.slice(from).join(""));
  return parts;
}

function entities(found, text) {
  const kinds = [...new Set(found.map(({ type }) => type))].sort();
  const places = [...found].sort((one, other) => one.start - other.start);
  if (!found.length) return [make("p", { class: "said" }, "no names"), make("p", { class: "marked" }, text)];
  const list = places.map(({ text: name, type, score }) => make("li", {}, `${name} · ${type} ${score.toFixed(3)}`));
  return [make("p", { class: "marked" }, ...marked(text, places, kinds)), make("ul", { class: "kinds" }, ...list)];
}

function passage({ answer: said, start, end, score }, context) {
  if (!said) return [make("p", { class: "said" }, "no answer"), make("p", { class: "soft" }, "The text does not say it.")];
  const parts = marked(context, [{ start, end }], []);
  return [
    make("p", { class: "said" }, said),
    make("p", { class: "soft" }, `probability ${score.toFixed(3)}`),
    make("p", { class: "context", tabindex: "0", "aria-label": "The text, with the answer marked" }, ...parts),
  ];
}

function hits(found) {
  if (!found.length) return make("p", { class: "said" }, "no hits");
  return make("ol", { class: "hits" }, ...found.map(({ score, uri, id, source, license, text }) => {
    const about = [source, license].filter(Boolean).map((value) => make("span", {}, value));
    return make("li", {},
      make("div", { class: "head" }, make("b", {}, score.toFixed(3)), make("b", {}, uri || id), ...about),
      text ? make("p", { class: "text" }, text) : "");
  }));
}

function cosines(one, texts, vectors) {
  const dot = (other) => one.reduce((sum, value, place) => sum + value * other[place], 0);
  const ranked = texts.map((text, place) => [text, dot(vectors[place])]).sort(([, a], [, b]) => b - a);
  return make("div", {}, make("p", { class: "soft" }, "Cosine, nearest first"), bars(ranked));
}

function vector(numbers) {
  const most = Math.max(...numbers.map(Math.abs), 1e-9);
  const step = 1000 / numbers.length;
  const lines = numbers.map((value, place) => `M${((place + 0.5) * step).toFixed(2)} 50V${(50 - (45 * value) / most).toFixed(2)}`);
  const plot = makeSvg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    makeSvg("path", { class: "axis", d: "M0 50H1000" }), makeSvg("path", { d: lines.join("") }));
  const copy = make("button", { type: "button", class: "quiet small" }, "Copy as JSON");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(JSON.stringify(numbers));
    copy.textContent = "Copied";
  });
  const begin = numbers.slice(0, 6).map((value) => value.toFixed(3)).join("  ");
  return make("div", { class: "vector" }, make("p", { class: "said" }, `${numbers.length} numbers`), plot,
    make("code", {}, `${begin}  …`), copy);
}

// --- small things ---------------------------------------------------------------------------------------------

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function show(parts) {
  byId("answer").replaceChildren(...parts);
  byId("answer").hidden = false;
  const context = byId("answer").querySelector(".context");
  const place = context?.querySelector("mark");
  if (place) context.scrollTop = place.offsetTop - context.offsetTop - context.clientHeight / 3;
  byId("answer").scrollIntoView({ block: "nearest" });
}

function tell(error) {
  byId("problem").textContent = error ? (error instanceof Told ? error.message : `This page failed: ${error}`) : "";
  byId("problem").hidden = !error;
}

const duration = (milliseconds) =>
  milliseconds < 1000 ? `${Number(milliseconds.toPrecision(2))} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

byId("endpoint").addEventListener("change", ({ target }) => choose(endpoints.find(({ name }) => name === target.value)));
byId("question").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
byId("stop").addEventListener("click", () => waiting?.abort());
byId("anew").addEventListener("click", () => choose(chosen));
byId("key").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("secret").value.trim();
  byId("secret").value = "";
  look();
});
byId("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || event.target.tagName !== "TEXTAREA") return;
  const asks = chosen.replies ? !event.shiftKey : event.ctrlKey || event.metaKey;
  if (!asks) return;
  event.preventDefault();
  byId("question").requestSubmit();
});
addEventListener("keydown", ({ key: pressed }) => { if (pressed === "Escape") waiting?.abort(); });
addEventListener("hashchange", look);

look();
