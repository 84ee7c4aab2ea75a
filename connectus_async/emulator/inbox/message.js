// One message: the phone of its recipient, and what is known of it.

import { API, at, calendar, clock, counted, make, numbers, word } from "./tools.js";

export function showTalk(message, talk, { first, hearsReplies, choose }) {
  at("who").textContent = message.recipient;
  const bubbles = [...talk.messages.map(it => [it.time, bubble(it, message, choose)]),
    ...talk.replies.map(it => [it.time, replyBubble(it)])];
  bubbles.sort(([one], [other]) => Date.parse(one) - Date.parse(other));
  const earlier = talk.total - talk.messages.length;
  const atEnd = at("talk").scrollHeight - at("talk").scrollTop - at("talk").clientHeight < 40;
  const frame = at("talk").querySelector("iframe");
  at("talk").replaceChildren(
    earlier > 0 ? make("p", { className: "muted", textContent: word("earlier", { count: numbers.format(earlier) }) }) : "",
    ...bubbles.map(([, element]) => element));
  if (first) {
    at("talk").scrollTop = at("talk").scrollHeight;
    at("talk").querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
  } else if (atEnd && !frame) {
    at("talk").scrollTop = at("talk").scrollHeight;
  }
  at("reply").hidden = message.channel !== "sms" || !hearsReplies;
  at("reply-hint").hidden = !at("reply").hidden;
  at("reply-hint").textContent = word(message.channel === "sms" ? "deaf" : "reply_sms_only");
}

function bubble(it, message, choose) {
  const isChosen = it.id === message.id;
  const element = make("div", { className: `bubble ${it.channel} ${isChosen ? "chosen" : ""}` });
  if (it.channel === "email") {
    element.classList.add("mail");
    element.append(make("div", { className: "text" }, make("b", { textContent: it.subject }), isChosen ? mailFrame(it) : null));
  } else {
    element.append(make("div", { className: "text" }, ...(it.sms ? partsOf(it.sms) : [it.content])));
  }
  const told = [word(it.channel), clock.format(new Date(it.time)), word(it.state)];
  if (it.sms) {
    told.splice(1, 0, it.sms.encoding, counted("units", it.sms.units), counted("parts", it.sms.parts.length));
  }
  element.append(make("span", { className: "muted", textContent: told.join(" · ") }));
  element.addEventListener("click", () => isChosen || choose(it.id));
  return element;
}

function partsOf(sms) {
  const marked = sms.parts.length > 1;
  return sms.parts.flatMap((part, place) => [
    marked && place > 0 ? make("span", { className: "part", textContent: `${numbers.format(place + 1)}/${numbers.format(sms.parts.length)}` }) : "",
    part]);
}

function mailFrame(it) {
  const frame = make("iframe", { title: it.subject, src: `${API}/messages/${encodeURIComponent(it.id)}/email` });
  frame.setAttribute("sandbox", "");
  return frame;
}

function replyBubble(it) {
  const answers = it.webhooks.map(hook => hook.status ?? word("no_response"));
  return make("div", { className: "bubble mine" }, make("div", { className: "text", textContent: it.text }),
    make("span", { className: "muted", textContent: [clock.format(new Date(it.time)), ...answers].join(" · ") }));
}

export function showFacts(message, deliveries) {
  const open = new Set([...at("facts").querySelectorAll("details")].filter(it => !it.open).map(it => it.dataset.name));
  const cards = [aboutCard(message, deliveries), statesCard(message)];
  if (message.channel === "email") {
    cards.push(folded("source", message.content));
  }
  cards.push(...wireCards(message.exchange), hooksCard(message.webhooks));
  at("facts").replaceChildren(...cards);
  for (const element of at("facts").querySelectorAll("details")) {
    element.open = !open.has(element.dataset.name);
  }
}

function aboutCard(message, deliveries) {
  const delivery = deliveries.find(it => it.id === message.delivery);
  const sms = message.sms;
  const pairs = [
    ["to", message.recipient], ["from", message.sender], ["subject", message.subject],
    ["channel", word(message.channel)], ["time", calendar.format(new Date(message.time))],
    ["sms", sms && [sms.encoding, counted("units", sms.units), counted("parts", sms.parts.length),
      counted("billed", message.billed)].join(" · ")],
    ["delivery", delivery?.name ?? message.delivery], ["client", message.client],
    ["otp", message.otp ? word("yes") : null], ["id", message.id]];
  return make("section", { className: "card" }, make("h3", { textContent: word("message") }),
    make("dl", {}, ...pairs.filter(([, value]) => value).flatMap(([name, value]) =>
      [make("dt", { textContent: word(name) }), make("dd", { textContent: value })])));
}

function statesCard(message) {
  return make("section", { className: "card states" }, make("h3", { textContent: word("states") }),
    make("ol", {}, ...message.states.map(it => make("li", { className: it.reached ? "" : "ahead" },
      make("span", {}, word(it.state), " ", make("code", { textContent: it.state })),
      make("time", { textContent: clock.format(new Date(it.time)), dateTime: it.time })))));
}

function folded(name, text) {
  const element = make("details", { className: "card" }, make("summary", { textContent: word(name) }),
    make("pre", { textContent: text }));
  element.dataset.name = name;
  return element;
}

function wireCards(exchange) {
  if (!exchange) {
    return [make("p", { className: "card muted", textContent: word("not_kept") })];
  }
  const missing = word(exchange.ended ? "no_answer" : "no_answer_yet");
  return [folded("request", wireText(exchange.request)),
    folded("answer", exchange.answer ? wireText(exchange.answer) : missing)];
}

function wireText(part) {
  const end = part.cut ? `\n${word("cut", { count: numbers.format(part.size) })}` : "";
  return `${part.head}\n\n${part.body}${end}`.replaceAll("\r\n", "\n");
}

function hooksCard(hooks) {
  const rows = hooks.map(hook => make("li", {},
    make("div", { className: "top" },
      make("b", { className: hook.status >= 200 && hook.status < 300 ? "good" : "bad", textContent: hook.status ?? word("no_response") }),
      make("span", { textContent: `POST ${hook.url}${hook.retry ? ` · ${word("retry", { count: numbers.format(hook.retry) })}` : ""}` }),
      make("time", { textContent: clock.format(new Date(hook.time)) })),
    make("pre", { textContent: hook.answer ? `${hook.body}\n\n${hook.answer}` : hook.body })));
  return make("section", { className: "card hooks" }, make("h3", { textContent: word("webhooks") }),
    rows.length ? make("ul", {}, ...rows) : make("p", { className: "muted", textContent: word("no_webhooks") }));
}
