"use strict";
/* Two minutes of latency percentiles, frame rate and drops on one canvas. */
const Chart = (() => {
  const SPAN_MS = 120000;
  const COLOURS = { p50: "#6fb7ff", p95: "#b58cff", p99: "#ff8fb1", fps: "#58c98b" };
  const points = [];

  function add(point) {
    points.push(point);
    while (points.length && point.time - points[0].time > SPAN_MS) points.shift();
  }

  function niceTop(value) {
    const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
    return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
  }

  function draw(canvas) {
    const scale = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!points.length) return;
    const top = niceTop(Math.max(...points.map((p) => Math.max(p.p99, p.fps, 10))));
    const base = height - 16, left = 34;
    const x = (time) => width - ((points.at(-1).time - time) / SPAN_MS) * (width - left);
    const y = (value) => base - (value / top) * (base - 6);
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = "#93a0ac";
    pen.strokeStyle = "#2b333c";
    for (const value of [0, top / 2, top]) {
      pen.fillText(String(value), 2, y(value) + 4);
      pen.beginPath(); pen.moveTo(left, y(value)); pen.lineTo(width, y(value)); pen.stroke();
    }
    pen.fillText("2 min ago", left, height - 3);
    pen.fillText("now", width - 24, height - 3);
    pen.fillStyle = "#ff6b5e";
    points.forEach((p, i) => {
      const dropped = i ? p.drops - points[i - 1].drops : 0;
      if (dropped > 0) pen.fillRect(x(p.time) - 1, base - Math.min(40, 4 + dropped), 2, Math.min(40, 4 + dropped));
    });
    for (const [name, colour] of Object.entries(COLOURS)) {
      pen.strokeStyle = colour;
      pen.lineWidth = 1.5;
      pen.beginPath();
      points.forEach((p, i) => pen[i ? "lineTo" : "moveTo"](x(p.time), y(p[name])));
      pen.stroke();
    }
  }
  return { add, draw, count: () => points.length };
})();
