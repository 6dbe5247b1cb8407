"use strict";
const find = (id) => document.getElementById(id);
const picture = find("picture");
let layout = "colour";
let recording = false;

function show(next) {
  layout = next;
  document.querySelectorAll("[data-layout]").forEach((button) =>
    button.setAttribute("aria-pressed", String(button.dataset.layout === layout)));
  find("stage").classList.toggle("wide", layout === "side-by-side");
  picture.src = `stream/${layout}.mjpg?${Date.now()}`;
}

function notice(text) { find("notice").textContent = text; }

function setState(state, problem) {
  const pill = find("state");
  pill.className = `pill ${state}`;
  pill.textContent = { lost: "source lost, reconnecting", offline: "stream stopped, waiting" }[state] || state;
  find("problem").hidden = !problem;
  find("problem").textContent = problem || "";
}

function update(figures) {
  const recent = figures.recent_latency_ms;
  const drops = Object.values(figures.dropped).reduce((sum, count) => sum + count, 0);
  setState(figures.state, figures.problem);
  find("source").textContent = figures.source;
  find("fps").textContent = figures.fps_presented.toFixed(1);
  find("p50").textContent = recent.p50.toFixed(0);
  find("p99").textContent = recent.p99.toFixed(0);
  find("drops").textContent = String(drops);
  const load = figures.load || {};
  find("detail").textContent = [
    figures.engine, `network ${figures.network_size[1]}x${figures.network_size[0]}`,
    `${figures.captured} captured`, `${figures.presented} presented`,
    ...Object.entries(figures.dropped).map(([reason, count]) => `${count} ${reason}`),
    ...Object.entries(figures.skipped).map(([output, count]) => `${count} skipped by ${output}`),
    `${figures.reconnects} reconnects`,
    load.cpu_percent === undefined ? "" : `CPU ${load.cpu_percent} %`,
    load.rss_mb === undefined ? "" : `${load.rss_mb} MB`,
  ].filter(Boolean).join(" · ");
  recording = Boolean(figures.recording);
  find("rec").hidden = !recording;
  find("record").setAttribute("aria-pressed", String(recording));
  find("record").textContent = recording ? "Stop" : "Record";
  Chart.add({ time: Date.now(), ...recent, fps: figures.fps_presented, drops });
  if (!document.hidden) Chart.draw(find("chart"));
}

async function press(address, body) {
  try {
    const answer = await fetch(address, {
      method: "POST", body: JSON.stringify(body),
      headers: { "Content-Type": "application/json", "X-Ladle-Rt": "1" },
    });
    const said = answer.headers.get("Content-Type").includes("json") ? await answer.json() : { error: await answer.text() };
    return said;
  } catch (error) {
    return { error: "the stream does not answer" };
  }
}

find("snapshot").addEventListener("click", async () => {
  const said = await press("api/snapshot", {});
  notice(said.error || `saved ${said.file}`);
});
find("record").addEventListener("click", async () => {
  const on = !recording;
  const said = await press("api/record", { on });
  notice(said.error || (said.file ? `${on ? "recording" : "saved"} ${said.file}` : ""));
});
document.querySelectorAll("[data-layout]").forEach((button) =>
  button.addEventListener("click", () => show(button.dataset.layout)));
picture.addEventListener("error", () => setTimeout(() => show(layout), 2000));
window.addEventListener("resize", () => Chart.draw(find("chart")));

const events = new EventSource("api/events");
let offline = false;
events.onmessage = (event) => {
  if (offline) { offline = false; show(layout); }
  update(JSON.parse(event.data));
};
events.onerror = () => {
  offline = true;
  setState("offline", null);
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
};
show("colour");
