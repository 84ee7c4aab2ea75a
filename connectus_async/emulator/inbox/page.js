// The page of the inbox. What messages hold is set as text, never as HTML.

import { showFacts, showTalk } from "./message.js";
import { API, ask, at, clock, complain, counted, language, make, numbers, stateMark, word } from "./tools.js";

const ROW = 66;
const BLOCK = 100;
const KEPT_BLOCKS = 30;
const MOST_ROWS = 450_000; // Chromium has no taller elements
const SEARCH_PAUSE = 120;
const LEAST_PAUSE = 400; // milliseconds between two refreshes while a campaign is sent

// The list: blocks of rows are fetched as they come into view, and few elements show them.

const list = { total: 0, blocks: new Map(), asking: new Map(), query: "", elements: [], timer: 0 };
const chosen = { id: null, place: -1, message: null };

function filters() {
  const query = new URLSearchParams();
  for (const name of ["text", "channel", "state", "delivery", "recipient"]) {
    if (at(name).value.trim()) {
      query.set(name, at(name).value);
    }
  }
  return query.toString();
}

async function fetchBlock(number) {
  const query = list.query;
  list.asking.get(number)?.abort();
  const control = new AbortController();
  list.asking.set(number, control);
  try {
    const window = `offset=${number * BLOCK}&limit=${BLOCK}`;
    const answer = await ask(`/messages?${window}&${query}`, { signal: control.signal });
    if (query === list.query) {
      keepBlock(number, answer);
    }
  } catch (error) {
    complain(error);
  } finally {
    if (list.asking.get(number) === control) {
      list.asking.delete(number);
    }
  }
}

function keepBlock(number, answer) {
  const came = answer.total - list.total;
  if (came > 0 && at("list").scrollTop > ROW && list.total) {
    at("list").scrollTop += came * ROW; // what is being read stays in its place
  }
  if (came !== 0) {
    chosen.place = chosen.place < 0 ? -1 : chosen.place + came;
    list.total = answer.total;
    list.blocks.clear();
  }
  list.blocks.delete(number);
  list.blocks.set(number, answer.messages);
  if (list.blocks.size > KEPT_BLOCKS) {
    list.blocks.delete(list.blocks.keys().next().value);
  }
  for (const [place, row] of answer.messages.entries()) {
    if (row.id === chosen.id) {
      chosen.place = number * BLOCK + place;
    }
  }
  draw();
}

function rowAt(place) {
  return list.blocks.get(Math.floor(place / BLOCK))?.[place % BLOCK];
}

function inView() {
  const shown = Math.min(list.total, MOST_ROWS);
  const first = Math.max(0, Math.floor(at("list").scrollTop / ROW) - 3);
  const last = Math.min(shown, first + Math.ceil(at("list").clientHeight / ROW) + 7);
  return [first, last];
}

function draw() {
  const shown = Math.min(list.total, MOST_ROWS);
  at("room").style.height = `${shown * ROW}px`;
  at("count").textContent = counted("messages", list.total)
    + (shown < list.total ? ` ${word("newest", { count: numbers.format(shown) })}` : "");
  at("empty").hidden = list.total > 0;
  at("empty").textContent = word(list.query ? "none_found" : "none");
  const [first, last] = inView();
  at("rows").style.transform = `translateY(${first * ROW}px)`;
  while (list.elements.length < last - first) {
    list.elements.push(newRow());
  }
  for (const [index, element] of list.elements.entries()) {
    element.hidden = index >= last - first;
    if (!element.hidden) {
      fill(element, first + index, rowAt(first + index));
    }
  }
  refreshWhenStatesChange(first, last);
}

function newRow() {
  const element = make("div", { className: "row" },
    make("span", { className: "to" }), make("span", { className: "when" }),
    make("span", { className: "what" }, make("span", { className: "tag" }), make("span")), make("span"));
  element.setAttribute("role", "option");
  element.addEventListener("click", () => choose(Number(element.dataset.place)));
  at("rows").append(element);
  return element;
}

function fill(element, place, row) {
  const [to, when, what, state] = element.children;
  element.dataset.place = place;
  element.id = `row-${place}`;
  element.setAttribute("aria-selected", String(row !== undefined && row.id === chosen.id));
  element.setAttribute("aria-setsize", list.total);
  element.setAttribute("aria-posinset", place + 1);
  to.textContent = row ? row.recipient : "…";
  when.textContent = row ? clock.format(new Date(row.time)) : "";
  what.children[0].hidden = !row;
  what.children[0].textContent = row ? word(row.channel) : "";
  what.children[0].className = `tag ${row?.channel ?? ""}`;
  what.children[1].textContent = row ? row.subject ?? row.beginning : "";
  state.replaceWith(row ? stateMark(row.state) : make("span"));
}

function needed() {
  const [first, last] = inView();
  const blocks = [];
  for (let number = Math.floor(first / BLOCK); number * BLOCK < Math.max(last, 1); number += 1) {
    blocks.push(number);
  }
  return blocks;
}

function scrolled() {
  draw();
  clearTimeout(list.timer);
  list.timer = setTimeout(() => {
    const wanted = needed();
    for (const [number, control] of list.asking) {
      if (!wanted.includes(number)) {
        control.abort();
      }
    }
    wanted.filter(number => !list.blocks.has(number) && !list.asking.has(number)).forEach(fetchBlock);
  }, 30);
}

let stateTimer = 0;

function refreshWhenStatesChange(first, last) {
  let soonest = Infinity;
  for (let place = first; place < last; place += 1) {
    soonest = Math.min(soonest, rowAt(place)?.seconds_to_change ?? Infinity);
  }
  clearTimeout(stateTimer);
  if (soonest < 86_400) {
    stateTimer = setTimeout(() => refresh(), Math.max(LEAST_PAUSE, soonest * 1000));
  }
}

async function search() {
  for (const control of list.asking.values()) {
    control.abort();
  }
  list.query = filters();
  list.total = 0;
  list.blocks.clear();
  chosen.place = -1;
  at("list").scrollTop = 0;
  await fetchBlock(0);
}

// Refreshes: at most one at a time, and not more often than a person can see.

const fresh = { last: 0, timer: 0, busy: false, again: false };

function refresh() {
  if (fresh.busy) {
    fresh.again = true;
    return;
  }
  clearTimeout(fresh.timer);
  fresh.timer = setTimeout(refreshNow, Math.max(0, fresh.last + LEAST_PAUSE - Date.now()));
}

async function refreshNow() {
  Object.assign(fresh, { busy: true, again: false, last: Date.now() });
  try {
    await Promise.all([showSummary(), ...needed().map(fetchBlock)]);
    if (chosen.id !== null) {
      await showMessage();
    }
    if (at("faults").open) {
      await showFaults();
    }
    at("notice").hidden = true;
  } catch (error) {
    complain(error);
  } finally {
    fresh.busy = false;
    if (fresh.again) {
      refresh();
    }
  }
}

let summary = { deliveries: [] };

async function showSummary() {
  summary = await ask("/summary");
  options("channel", [["", word("all_channels")], ...summary.channels.map(name => [name, word(name)])]);
  options("state", [["", word("all_states")], ...summary.states.map(name => [name, word(name)])]);
  options("delivery", [["", word("all_deliveries")], ...summary.deliveries.map(it => [it.id, it.name])]);
  at("delivery").hidden = summary.deliveries.length === 0;
  at("fault-count").textContent = numbers.format(summary.faults);
  at("fault-count").hidden = summary.faults === 0;
  if (at("balance").open) {
    showBalance();
  }
}

function options(id, pairs) {
  const select = at(id);
  const same = select.options.length === pairs.length
    && pairs.every(([value, text], place) => select.options[place].value === value && select.options[place].text === text);
  if (!same) {
    const value = select.value;
    select.replaceChildren(...pairs.map(([given, text]) => make("option", { value: given, textContent: text })));
    select.value = pairs.some(([given]) => given === value) ? value : pairs[0][0];
  }
}

function showBalance() {
  const { sms, email, whatsapp } = summary.balances;
  const rows = [...sms.map(it => [`${word("sms")} · ${it.country_name}`, it.balance]), [word("email"), email], [word("whatsapp"), whatsapp]];
  at("amounts").replaceChildren(...rows.map(([name, amount]) =>
    make("tr", {}, make("td", { textContent: name }), make("td", { textContent: numbers.format(amount) }))));
}

// One message: the phone of its recipient, and what is known of it.

async function choose(place) {
  const row = rowAt(place);
  if (!row) {
    return;
  }
  Object.assign(chosen, { id: row.id, place, message: null });
  draw();
  at("list").setAttribute("aria-activedescendant", `row-${place}`);
  try {
    await showMessage();
  } catch (error) {
    complain(error);
  }
}

function leave() {
  Object.assign(chosen, { id: null, place: chosen.place, message: null });
  at("detail").hidden = true;
  at("choose").hidden = false;
  draw();
  at("list").focus();
}

async function showMessage() {
  const id = chosen.id;
  const message = await ask(`/messages/${encodeURIComponent(id)}`);
  const talk = await ask(`/conversations/${encodeURIComponent(message.recipient)}`);
  const seen = JSON.stringify([message, talk, summary.hears_replies], (key, value) =>
    key === "seconds_to_change" ? undefined : value);
  if (chosen.id !== id || chosen.message === seen) {
    return;
  }
  const first = chosen.message === null;
  chosen.message = seen;
  at("detail").hidden = false;
  at("choose").hidden = true;
  showTalk(message, talk, { first, hearsReplies: summary.hears_replies, choose: chooseId });
  showFacts(message, summary.deliveries);
  if (first) {
    at("detail").scrollTop = 0;
  }
}

function chooseId(id) {
  Object.assign(chosen, { id, place: -1, message: null });
  draw();
  showMessage().catch(complain);
}

async function reply(event) {
  event.preventDefault();
  const text = at("reply-text").value;
  if (!text.trim() || chosen.id === null) {
    return;
  }
  at("reply-text").value = "";
  try {
    const { status } = await ask(`/messages/${encodeURIComponent(chosen.id)}/replies`, { method: "POST", body: { text } });
    if (status === null || status < 200 || status > 299) {
      throw new Error(word("reply_failed"));
    }
  } catch (error) {
    complain(error);
  }
}

// Faults.

const WITH_NUMBER = { delay: 1, status: 500, too_many: 1, queue: 1 };
const NUMBERS = { status: "code" };

async function showFaults() {
  const answer = await ask("/faults");
  options("fault-route", [["", word("all_requests")], ...answer.routes.map(name => [name, name])]);
  options("fault-name", answer.names.map(name => [name, word(name)]));
  const placed = JSON.stringify(answer.faults);
  faultChosen();
  if (at("placed").dataset.shown === placed) {
    return; // a button that is drawn anew would miss a click
  }
  at("placed").dataset.shown = placed;
  const rows = answer.faults.map(it => {
    const told = [it.route ?? word("all_requests"), it.name];
    told.push(...(it.share < 1 ? [`${numbers.format(it.share * 100)} %`] : []));
    told.push(...(it.times === null ? [] : [word("times_left", { count: numbers.format(it.times) })]));
    const remove = make("button", { textContent: word("remove"), type: "button" });
    remove.addEventListener("click", () => change(`/faults/${it.number}`, "DELETE"));
    return make("li", {}, make("span", { textContent: told.join(" · ") }),
      make("span", { className: "muted", textContent: word("fired", { count: numbers.format(it.fired) }) }), remove);
  });
  at("placed").replaceChildren(...(rows.length ? rows : [make("li", { className: "muted", textContent: word("no_faults") })]));
}

function faultChosen(event) {
  const name = at("fault-name").value;
  at("fault-number-label").hidden = !(name in WITH_NUMBER);
  at("fault-number-word").textContent = word(NUMBERS[name] ?? "seconds");
  at("fault-acted-label").hidden = name !== "status";
  if (event || at("fault-number").value === "") {
    at("fault-number").value = WITH_NUMBER[name] ?? "";
  }
}

function placeFault(event) {
  event.preventDefault();
  const name = at("fault-name").value;
  const parts = [`${at("fault-route").value || "*"}=${name}${name in WITH_NUMBER ? `:${at("fault-number").value}` : ""}`];
  if (at("fault-share").value !== "100") {
    parts.push(`share=${Number(at("fault-share").value) / 100}`);
  }
  if (at("fault-times").value) {
    parts.push(`times=${at("fault-times").value}`);
  }
  if (name === "status" && at("fault-acted").checked) {
    parts.push("acted");
  }
  change("/faults", "POST", { fault: parts.join(",") });
}

async function change(path, method, body) {
  at("fault-error").textContent = "";
  try {
    await ask(path, { method, body });
    await Promise.all([showFaults(), showSummary()]);
  } catch (error) {
    at("fault-error").textContent = error.message;
  }
}

async function clearAll() {
  at("clear").close();
  try {
    await ask("/messages", { method: "DELETE" });
    leave();
    await search();
  } catch (error) {
    complain(error);
  }
}

// The keyboard.

function move(step) {
  const place = Math.min(Math.max(chosen.place + step, 0), Math.min(list.total, MOST_ROWS) - 1);
  const box = at("list");
  if (place < 0) {
    return;
  }
  const top = place * ROW;
  if (top < box.scrollTop) {
    box.scrollTop = top;
  } else if (top + ROW > box.scrollTop + box.clientHeight) {
    box.scrollTop = top + ROW - box.clientHeight;
  }
  choose(place);
}

const KEYS = { j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
  "/": () => at("text").focus(), Escape: () => leave() };

function pressed(event) {
  const typing = event.target.matches("input, select, textarea");
  if (event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog[open]")) {
    return;
  }
  if (typing && event.key === "Escape") {
    event.target.blur();
  } else if (!typing && event.key in KEYS) {
    event.preventDefault();
    KEYS[event.key]();
  }
}

function listen() {
  const stream = new EventSource(`${API}/events`);
  const show = on => {
    at("live").classList.toggle("on", on);
    at("live").textContent = word(on ? "live" : "offline");
  };
  show(false);
  stream.addEventListener("open", () => show(true));
  stream.addEventListener("error", () => {
    show(false);
    if (stream.readyState === EventSource.CLOSED) {
      setTimeout(listen, 2000);
    }
  });
  stream.addEventListener("changed", () => refresh());
}

function start() {
  document.documentElement.lang = language;
  document.title = `${word("inbox")} · ${word("emulator")}`;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = word(element.dataset.word);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", word(element.dataset.label));
    element.placeholder = word(element.dataset.label);
  }
  let searching = 0;
  at("filters").addEventListener("input", () => {
    clearTimeout(searching);
    searching = setTimeout(search, SEARCH_PAUSE);
  });
  at("filters").addEventListener("submit", event => event.preventDefault());
  at("list").addEventListener("scroll", scrolled, { passive: true });
  addEventListener("resize", scrolled);
  addEventListener("keydown", pressed);
  at("back").addEventListener("click", leave);
  at("reply").addEventListener("submit", reply);
  at("place").addEventListener("submit", placeFault);
  at("fault-name").addEventListener("change", faultChosen);
  at("clear-now").addEventListener("click", clearAll);
  at("open-clear").addEventListener("click", () => at("clear").showModal());
  at("open-balance").addEventListener("click", () => { showBalance(); at("balance").showModal(); });
  at("open-faults").addEventListener("click", () => { at("faults").showModal(); showFaults().catch(complain); });
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  listen();
  refreshNow();
}

start();
