"use strict";
const find = (id) => document.getElementById(id);
const picture = find("picture"), stage = find("stage");
const LAYOUTS = ["colour", "thermal", "side-by-side"];
const STATES = {
  connecting: ["connecting", "Connecting"],
  starting: ["starting", "Waiting for the first picture"],
  running: ["live", null],
  lost: ["source lost, reconnecting", "Source lost"],
  ended: ["stopped", "Stream stopped", "It was ended on the machine that runs it."],
  offline: ["no connection", "No connection to the stream", "Trying again."],
  locked: ["stopped", "The stream was started again", "Open the address that ladle-rt printed."],
};
let layout = "colour";
let state = "connecting";
let recording = false;
let noticeTimer;

function show(next) {
  layout = next;
  document.querySelectorAll("[data-layout]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.layout === layout)));
  picture.src = `stream/${layout}.mjpg?${Date.now()}`;
  find("download").href = `snapshot.jpg?layout=${layout}`;
}

function notice(text) {
  find("notice").textContent = text;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { find("notice").textContent = ""; }, 5000);
}

function setState(next, problem) {
  const [short, title, hint] = STATES[next];
  const there = next === "running" || next === "lost" || next === "starting";
  if (there && !["running", "lost", "starting"].includes(state)) show(layout);
  state = next;
  document.body.dataset.state = next;
  document.title = next === "running" ? `${find("source").textContent} – ladle-rt` : `■ ${short} – ladle-rt`;
  find("state").textContent = short;
  find("veil").hidden = !title;
  find("veil-title").textContent = title || "";
  find("problem").textContent = problem || hint || "";
  document.querySelectorAll("#snapshot, #record, #switches button").forEach((button) => { button.disabled = !there; });
  find("download").setAttribute("aria-disabled", String(!there));
  if (!there) {
    find("rec").hidden = true;
    for (const id of ["fps", "p50", "p99"]) find(id).textContent = "–";
  }
}

const listed = (counts) =>
  Object.entries(counts).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`).join(", ") || "0";

function update(figures) {
  const recent = figures.recent_latency_ms;
  const drops = Object.values(figures.dropped).reduce((sum, count) => sum + count, 0);
  const load = figures.load || {};
  const texts = {
    source: figures.source,
    fps: figures.fps_presented.toFixed(1), p50: recent.p50.toFixed(0), p99: recent.p99.toFixed(0),
    drops, engine: figures.engine || "–",
    network: `${figures.network_size[1]} × ${figures.network_size[0]}`,
    captured: figures.captured, presented: figures.presented,
    dropped: listed(figures.dropped), skipped: listed(figures.skipped), reconnects: figures.reconnects,
    load: load.rss_mb === undefined ? "–" : `CPU ${load.cpu_percent.toFixed(0)} %, ${load.rss_mb.toFixed(0)} MB`,
  };
  for (const [id, text] of Object.entries(texts)) find(id).textContent = text;
  setState(figures.state, figures.problem);
  recording = Boolean(figures.recording);
  find("rec").hidden = !recording;
  find("record").setAttribute("aria-pressed", String(recording));
  find("record-label").textContent = recording ? "Stop" : "Record";
  figures.switches.forEach(showSwitch);
  Chart.add({ time: Date.now(), ...recent, fps: figures.fps_presented, drops });
  if (!document.hidden) Chart.draw(find("chart"));
}

function showSwitch(one) {
  let button = find(`switch-${one.name}`);
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.id = `switch-${one.name}`;
    button.textContent = one.label;
    if (one.key) {
      button.dataset.key = one.key;
      button.title = one.key;
      const key = document.createElement("kbd"), term = document.createElement("dt"), said = document.createElement("dd");
      key.textContent = one.key;
      said.textContent = `${one.label} on, off`;
      term.append(key);
      find("help").querySelector("dl").append(term, said);
    }
    button.addEventListener("click", async () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      const answer = await Link.press(`api/switches/${one.name}`, { on });
      if (answer.error) notice(answer.error);
      else button.setAttribute("aria-pressed", String(answer.on));
    });
    find("switches").append(button);
    find("switches").hidden = false;
  }
  button.setAttribute("aria-pressed", String(one.on));
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (stage.requestFullscreen) stage.requestFullscreen().catch(() => stage.classList.toggle("full"));
  else stage.classList.toggle("full"); // Telephones that know it for videos only.
}

find("snapshot").addEventListener("click", async () => {
  const answer = await Link.press("api/snapshot", {});
  notice(answer.error || `saved ${answer.file}`);
});
find("record").addEventListener("click", async () => {
  const on = !recording;
  const answer = await Link.press("api/record", { on });
  notice(answer.error || (answer.file ? `${on ? "recording" : "saved"} ${answer.file}` : ""));
});
find("download").addEventListener("click", (event) => {
  const time = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-");
  event.currentTarget.download = `ladle-${time}.jpg`;
});
find("full").addEventListener("click", fullscreen);
stage.addEventListener("dblclick", fullscreen);
stage.addEventListener("click", () => stage.classList.remove("full"));
find("keys").addEventListener("click", () => find("help").showModal());
document.querySelectorAll("[data-layout]").forEach((button) =>
  button.addEventListener("click", () => show(button.dataset.layout)));

const KEYS = {
  1: () => show(LAYOUTS[0]), 2: () => show(LAYOUTS[1]), 3: () => show(LAYOUTS[2]),
  l: () => show(LAYOUTS[(LAYOUTS.indexOf(layout) + 1) % LAYOUTS.length]),
  f: fullscreen, s: () => find("snapshot").click(), r: () => find("record").click(),
  d: () => { if (find("download").ariaDisabled !== "true") find("download").click(); },
  Escape: () => stage.classList.remove("full"), "?": () => find("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || find("help").open) return;
  const turn = [...document.querySelectorAll("#switches button")].find((button) => button.dataset.key === event.key);
  const action = turn ? () => turn.click() : KEYS[event.key];
  if (action) action();
});

picture.addEventListener("error", () => setTimeout(() => { if (state === "running") show(layout); }, 2000));
window.addEventListener("resize", () => Chart.draw(find("chart")));
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => Chart.draw(find("chart")));
Chart.draw(find("chart"));
Link.start(update, setState);
