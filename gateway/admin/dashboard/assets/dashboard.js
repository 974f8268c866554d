// Keeps the overview up to date while someone looks: asks for the figures every few seconds, and not at all when hidden.
"use strict";

(() => {
  const EVERY_MS = 5000;
  const overview = document.getElementById("overview");
  const live = document.getElementById("live");
  let timer = null;
  let last = null;

  function say(state) {
    live.className = `live ${state}`;
    live.lastElementChild.textContent = live.dataset[{ lost: "lost", "lost out": "loggedOut", paused: "paused" }[state] ?? "live"];
  }

  function show(now) {
    for (const [name, html] of Object.entries(now.fragments)) {
      const place = overview.querySelector(`[data-fragment="${name}"]`);
      if (place.dataset.shown === html || place.contains(document.activeElement)) continue;
      const open = [...place.querySelectorAll("details[open]")].map((one) => one.id);
      place.innerHTML = html;  // rendered and escaped by the gateway
      open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
      place.dataset.shown = html;
    }
    last = now.charts;
    charts.show(last);
  }

  async function update() {
    clearTimeout(timer);
    if (document.hidden) return say("paused");
    try {
      const reply = await fetch(overview.dataset.now, { headers: { accept: "application/json" }, cache: "no-store" });
      if (reply.status === 401) return say("lost out");
      if (!reply.ok) throw new Error(reply.status);
      show(await reply.json());
      say("");
    } catch (error) {
      say("lost");
      console.debug(error);
    }
    timer = setTimeout(update, EVERY_MS);
  }

  document.addEventListener("visibilitychange", update);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    charts.forget();
    if (last) charts.show(last);
  });
  update();
})();
