"use strict";

// The page shows what the API says and keeps nothing: one function asks, one shows a list.

const byId = (id) => document.getElementById(id);
let key = sessionStorage.getItem("key") || "";
let latest = 0; // number of the last question: an answer that comes too late is dropped

async function ask(path, parameters = {}) {
  const query = new URLSearchParams(parameters).toString();
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const response = await fetch(query ? `${path}?${query}` : path, { headers });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail || response.statusText);
  return body;
}

function facts(metadata) {
  return Object.entries(metadata || {})
    .slice(0, 3)
    .map(([, value]) => (Array.isArray(value) ? value.slice(0, 3).join(", ") : String(value)))
    .join(" · ");
}

function row(item, value) {
  const node = byId("row").content.cloneNode(true);
  const open = node.querySelector(".open");
  node.querySelector(".name").textContent = item.title || item.item_id;
  node.querySelector(".facts").textContent = facts(item.metadata);
  node.querySelector(".value").textContent = value;
  open.title = `Show what is similar to ${item.title || item.item_id}`;
  open.addEventListener("click", () => showSimilar(item));
  if (item.because) {
    const because = node.querySelector(".because");
    because.textContent = "near " + item.because.map((one) => `${one.title || one.item_id} (${one.distance.toFixed(2)})`).join(", ");
    because.hidden = false;
  }
  return node;
}

function valueOf(item) {
  if (item.distance !== null && item.distance !== undefined) return item.distance.toFixed(3);
  return "";
}

async function showList(heading, path, parameters, scroll = true) {
  const question = ++latest;
  byId("problem").hidden = true;
  byId("more").hidden = true;
  try {
    const answer = await ask(path, parameters);
    if (question !== latest) return;
    if (!parameters.cursor) byId("list").replaceChildren();
    byId("answer-heading").textContent = heading;
    byId("about").textContent = about(answer);
    byId("list").append(...answer.items.map((item) => row(item, valueOf(item))));
    offerMore(heading, path, parameters, answer.next);
    if (scroll) byId("answer").focus({ preventScroll: window.innerWidth > 768 });
  } catch (error) {
    if (question === latest) showProblem(error);
  }
}

function about(answer) {
  const kind = answer.strategy === "popular" && answer.user_id ? "popular: nothing is known of this user" : answer.strategy;
  const variant = answer.variant ? `, ${answer.variant}` : "";
  return `${kind}, version ${answer.model_version}${variant}` + (answer.items.length ? "" : " · nothing matches");
}

function offerMore(heading, path, parameters, next) {
  const more = byId("more");
  more.hidden = !next;
  more.onclick = () => showList(heading, path, { ...parameters, cursor: next }, false);
}

function showProblem(error) {
  byId("problem").textContent = error.message;
  byId("problem").hidden = false;
}

function showSimilar(item) {
  const id = encodeURIComponent(item.item_id);
  return showList(`Similar to ${item.title || item.item_id}`, `/v1/items/${id}/similar`, { k: 15 });
}

async function search(event) {
  event.preventDefault();
  try {
    const found = await ask("/v1/items", { title: byId("title").value, limit: 12 });
    byId("matches").replaceChildren(...found.items.map((item) => row(item, "")));
    if (!found.items.length) byId("matches").textContent = "No title holds these words.";
  } catch (error) {
    showProblem(error);
  }
}

function recommend(event) {
  event.preventDefault();
  const id = byId("user-id").value;
  const parameters = { k: 15, explain: 2 };
  if (Number(byId("diversity").value) > 0) parameters.diversity = byId("diversity").value;
  showList(`For ${id}`, `/v1/users/${encodeURIComponent(id)}/recommendations`, parameters);
}

async function start() {
  try {
    const model = await ask("/v1/model");
    const count = new Intl.NumberFormat("en");
    byId("model").textContent = `${count.format(model.items)} items, ${count.format(model.users)} users, version ${model.version}`;
    await showList("Popular now", "/v1/lists/popular", { k: 15 }, false);
  } catch (error) {
    byId("model").textContent = "";
    showProblem(error);
  }
}

byId("search").addEventListener("submit", search);
byId("user").addEventListener("submit", recommend);
byId("diversity").addEventListener("input", () => (byId("diversity-value").value = byId("diversity").value));
byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value;
  sessionStorage.setItem("key", key);
  start();
});
start();
