"use strict";
const find = (id) => document.getElementById(id);
const grid = find("grid"), large = find("large"), picture = find("picture");
const LAYOUTS = ["colour", "thermal", "side-by-side"];
const STATES = { starting: "Waiting for the first picture", lost: "Away, trying again", ended: "Over" };
const FASTEST_MS = 200;
const REQUESTS_PER_S = 40; // All tiles together: browsers and servers have better things to do.
const tiles = new Map(); // Name to { element, state, busy }.
let chosen = null;
let layout = "colour";
let cameras = [];
let connected = false;

const address = (name) => `camera/${encodeURIComponent(name)}/`;

function makeTile(name) {
  const element = find("tile").content.firstElementChild.cloneNode(true);
  element.querySelector(".name").textContent = name;
  element.querySelector("img").alt = `live picture of ${name}`;
  element.addEventListener("click", () => choose(chosen === name ? null : name));
  const tile = { name, element, state: "starting", gone: false };
  refresh(tile);
  return tile;
}

/* One picture after the other: browsers keep six connections to a server, too few for streams. */
function refresh(tile) {
  if (tile.gone) return;
  const pause = Math.max(FASTEST_MS, (tiles.size * 1000) / REQUESTS_PER_S);
  const next = () => setTimeout(() => refresh(tile), pause);
  if (document.hidden || !connected || tile.state !== "running") return void next();
  const fresh = new Image();
  fresh.onload = () => { tile.element.querySelector("img").src = fresh.src; next(); };
  fresh.onerror = next;
  fresh.src = `${address(tile.name)}snapshot.jpg?t=${Date.now()}`;
}

const figuresOf = (camera) => {
  const late = camera.recent_latency_ms.p50;
  const rate = `${camera.fps_presented.toFixed(1)} fps`;
  // Without a picture of late there is no latency either.
  return !late ? rate : `${rate}, ${late < 1000 ? `${late.toFixed(0)} ms` : `${(late / 1000).toFixed(1)} s`}`;
};

function badge(text, kind) {
  const one = document.createElement("span");
  one.textContent = text;
  if (kind) one.className = kind;
  return one;
}

function showTile(camera) {
  let tile = tiles.get(camera.name);
  if (!tile) {
    tile = makeTile(camera.name);
    tiles.set(camera.name, tile);
  }
  const { element } = tile;
  tile.state = camera.state;
  element.dataset.state = camera.state;
  element.title = camera.source;
  element.setAttribute("aria-pressed", String(chosen === camera.name));
  element.querySelector(".veil").textContent = STATES[camera.state] || "";
  element.querySelector(".figures").textContent = camera.state === "running" ? figuresOf(camera) : "";
  const badges = camera.alarms.map((alarm) => { const one = badge(alarm.kind); one.title = alarm.text; return one; });
  if (camera.recorded) badges.push(badge("REC", "rec"));
  element.querySelector(".alarms").replaceChildren(...badges);
  grid.append(element); // In the order of the file.
}

function update(overview) {
  connected = true;
  cameras = overview.cameras;
  const names = new Set(cameras.map((camera) => camera.name));
  for (const [name, tile] of tiles) {
    if (names.has(name)) continue;
    tile.gone = true;
    tile.element.remove();
    tiles.delete(name);
    if (chosen === name) choose(null);
  }
  if ([...grid.children].some((child, i) => !cameras[i] || child !== (tiles.get(cameras[i].name) || {}).element)) grid.replaceChildren();
  cameras.forEach(showTile);
  const alarmed = cameras.filter((camera) => camera.alarms.length).length;
  document.body.dataset.state = alarmed ? "alarm" : "running";
  find("state").textContent = alarmed ? `${alarmed} of ${cameras.length} cameras need a look` : `${cameras.length} cameras live`;
  document.title = alarmed ? `■ ${alarmed} – ladle-rt` : `${cameras.length} cameras – ladle-rt`;
  const problems = [overview.config_problem && `The file was not taken: ${overview.config_problem}`, overview.storage.problem];
  find("problem").textContent = problems.filter(Boolean).join(" ");
  find("problem").hidden = !find("problem").textContent;
  showLarge();
}

function showLarge() {
  const camera = cameras.find((one) => one.name === chosen);
  if (!camera) return;
  large.dataset.state = camera.state;
  find("large-name").textContent = camera.name;
  find("large-figures").textContent = camera.state === "running" ? figuresOf(camera) : "";
  find("veil").hidden = camera.state === "running";
  find("veil-title").textContent = STATES[camera.state] || "";
  find("veil-text").textContent = camera.problem || "";
  find("large-alarms").replaceChildren(...camera.alarms.map((alarm) => {
    const line = document.createElement("li");
    line.textContent = `${alarm.kind}: ${alarm.text}`;
    return line;
  }));
}

function choose(name) {
  chosen = name;
  large.hidden = name === null;
  if (name === null) picture.removeAttribute("src"); // Ends the stream.
  else {
    find("own").href = address(name);
    picture.src = `${address(name)}stream/${layout}.mjpg?${Date.now()}`;
    showLarge();
    large.scrollIntoView({ block: "nearest" });
  }
  history.replaceState(null, "", name === null ? "#" : `#${encodeURIComponent(name)}`);
  for (const tile of tiles.values()) tile.element.setAttribute("aria-pressed", String(tile.name === name));
}

function show(next) {
  layout = next;
  document.querySelectorAll("[data-layout]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.layout === layout)));
  if (chosen !== null) choose(chosen);
}

function lost(state) {
  connected = false;
  document.body.dataset.state = state;
  find("state").textContent = state === "ended" ? "stopped" : state === "locked" ? "open the address that ladle-rt printed" : "no connection";
  for (const tile of tiles.values()) tile.element.dataset.state = "ended";
}

document.querySelectorAll("[data-layout]").forEach((button) =>
  button.addEventListener("click", () => show(button.dataset.layout)));
find("back").addEventListener("click", () => choose(null));
picture.addEventListener("error", () => setTimeout(() => { if (chosen !== null) choose(chosen); }, 2000));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.key === "Escape") choose(null);
  else if (LAYOUTS[Number(event.key) - 1]) show(LAYOUTS[Number(event.key) - 1]);
});

Link.start((overview) => {
  const first = !tiles.size;
  update(overview);
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (first && tiles.has(wanted)) choose(wanted);
}, lost);
