// Keeps the overview up to date while someone looks: asks for the figures every few seconds, and not at all when hidden.
"use strict";

(() => {
  const EVERY_MS = 5000;
  const overview = document.getElementById("overview");
  const live = document.getElementById("live");
  let timer = null;
  let last = null;
  let turn = 0;  // only the latest update may speak: another may have begun, or the tab been hidden, while one waited

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
    const mine = ++turn;
    if (document.hidden) return say("paused");
    try {
      const reply = await fetch(overview.dataset.now, { headers: { accept: "application/json" }, cache: "no-store" });
      if (!reply.ok && reply.status !== 401) throw new Error(reply.status);
      const now = reply.ok ? await reply.json() : null;
      if (mine !== turn) return;
      if (now === null) return say("lost out");
      show(now);
      say("");
    } catch (error) {
      if (mine !== turn) return;
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
