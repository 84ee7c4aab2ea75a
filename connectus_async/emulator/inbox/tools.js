// What all parts of the page use: words, numbers, elements, and calls of the JSON API.

export const API = "api";

const allWords = JSON.parse(document.getElementById("words").textContent);
export const language = navigator.languages.map(tag => tag.slice(0, 2)).find(tag => tag in allWords) ?? "en";
const words = allWords[language];
const locale = navigator.languages.find(tag => tag.startsWith(language)) ?? language;
export const numbers = new Intl.NumberFormat(locale);
const plurals = new Intl.PluralRules(locale);
export const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const calendar = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
const BAD = new Set(["NO_ENTREGABLE", "NUMERO_INVALIDO"]);

export const at = id => document.getElementById(id);

export function word(name, values = {}) {
  const text = words[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

export function counted(name, count) {
  return word(`${name}.${plurals.select(count) === "one" ? "one" : "other"}`, { count: numbers.format(count) });
}

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter(child => child !== null));
  return element;
}

export async function ask(path, { method = "GET", body, signal } = {}) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const response = await fetch(API + path, { method, headers, body: JSON.stringify(body), signal });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.error);
  }
  return answer;
}

export function complain(error) {
  if (error.name === "AbortError") {
    return;
  }
  at("notice").textContent = word("failed", { why: error.message });
  at("notice").hidden = false;
}

export function stateMark(name) {
  const kind = name === "ENTREGADO" ? "good" : BAD.has(name) ? "bad" : "";
  return make("span", { className: `state ${kind}`, textContent: word(name), title: name });
}
