"use strict";
/* Two minutes of latency percentiles, frame rate and drops on one canvas. */
const Chart = (() => {
  const SPAN_MS = 120000;
  const LINES = ["p50", "p95", "p99", "fps"];
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
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(`--${name}`);
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const top = niceTop(Math.max(10, ...points.map((p) => Math.max(p.p99, p.fps))));
    const base = height - 18, left = 34;
    const x = (time) => width - ((points.at(-1).time - time) / SPAN_MS) * (width - left);
    const y = (value) => base - (value / top) * (base - 8);
    pen.font = `12px ${style.fontFamily}`;
    pen.fillStyle = colour("quiet");
    pen.strokeStyle = colour("line");
    pen.textAlign = "right";
    for (const value of [0, top / 2, top]) {
      pen.fillText(String(value), left - 8, y(value) + 4);
      pen.beginPath(); pen.moveTo(left, y(value)); pen.lineTo(width, y(value)); pen.stroke();
    }
    pen.fillText("now", width, height - 3);
    pen.textAlign = "left";
    pen.fillText("2 min ago", left, height - 3);
    if (!points.length) return;
    pen.fillStyle = colour("drop");
    points.forEach((p, i) => {
      const dropped = i ? p.drops - points[i - 1].drops : 0;
      const tall = Math.min(40, 4 + dropped);
      if (dropped > 0) pen.fillRect(x(p.time) - 1, base - tall, 2, tall);
    });
    pen.lineWidth = 1.5;
    pen.lineJoin = "round";
    for (const name of LINES) {
      pen.strokeStyle = colour(name);
      pen.beginPath();
      points.forEach((p, i) => pen[i ? "lineTo" : "moveTo"](x(p.time), y(p[name])));
      pen.stroke();
    }
  }
  return { add, draw, count: () => points.length };
})();
