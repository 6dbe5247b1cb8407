"use strict";
/* The connection to the stream: its figures, whether it is there at all, and its buttons. */
const Link = (() => {
  const SILENT_MS = 4000;
  const AGAIN_MS = 3000;
  let heard, lost, events, silence;
  let ended = false;

  function listen() {
    events = new EventSource("api/events");
    events.onmessage = (event) => {
      ended = false;
      clearTimeout(silence);
      silence = setTimeout(() => lost("offline"), SILENT_MS);
      heard(JSON.parse(event.data));
    };
    events.addEventListener("end", () => { ended = true; lost("ended"); });
    events.onerror = () => {
      clearTimeout(silence);
      lost(ended ? "ended" : "offline");
      if (events.readyState === EventSource.CLOSED) setTimeout(lookAgain, AGAIN_MS);
    };
  }

  /* The browser has given up: the stream was refused, most likely for the token of an earlier run. */
  async function lookAgain() {
    try {
      const answer = await fetch("healthz");
      if (answer.status !== 403) return listen();
      lost("locked");
    } catch (error) {
      lost("offline");
    }
    setTimeout(lookAgain, AGAIN_MS);
  }

  async function press(address, body) {
    try {
      const answer = await fetch(address, {
        method: "POST", body: JSON.stringify(body),
        headers: { "Content-Type": "application/json", "X-Ladle-Rt": "1" },
      });
      const kind = answer.headers.get("Content-Type") || "";
      return kind.includes("json") ? await answer.json() : { error: await answer.text() };
    } catch (error) {
      return { error: "the stream does not answer" };
    }
  }

  return {
    press,
    start(onFigures, onLost) { heard = onFigures; lost = onLost; listen(); },
  };
})();
