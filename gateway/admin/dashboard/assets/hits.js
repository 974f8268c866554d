// One click says whether a near hit's answer was right. The session's token goes along, so that no other site can say it.
"use strict";

(() => {
  async function token() {
    const reply = await fetch("/cache/session", { cache: "no-store" });
    return reply.ok ? (await reply.json()).csrf : null;
  }

  async function judge(place, button) {
    const { entry, request } = place.dataset, verdict = button.value;
    const said = place.querySelector("[role=status]"), buttons = place.querySelectorAll("button");
    buttons.forEach((one) => { one.disabled = true; });
    try {
      const headers = { "content-type": "application/json" }, csrf = await token();
      if (csrf) headers["x-lookalike-csrf"] = csrf;
      const reply = await fetch(`/cache/entries/${encodeURIComponent(entry)}/feedback`, { method: "POST", headers, body: JSON.stringify({ verdict, request }) });
      if (!reply.ok) throw new Error((await reply.json()).error?.message ?? reply.status);
      buttons.forEach((one) => one.remove());
      said.textContent = place.dataset[verdict];
    } catch (error) {
      buttons.forEach((one) => { one.disabled = false; });
      said.textContent = `${place.dataset.failed} ${error.message}`;
    }
  }

  document.querySelectorAll(".judge").forEach((place) => {
    place.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) judge(place, button);
    });
  });
})();
