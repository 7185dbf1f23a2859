"use strict";
(() => {
  const main = document.getElementById("main");
  const connection = document.getElementById("connection");
  const hold = document.getElementById("hold");
  const answer = document.getElementById("answer");
  let frozen = false;
  const waiting = new Map(); // sections that have come while the page is frozen, by id

  // keep holds sections back until the page is not frozen any more.
  function keep(html) {
    const next = document.createElement("template");
    next.innerHTML = html;
    for (const s of next.content.children) waiting.set(s.id, s.outerHTML);
  }

  // show replaces the sections that have come, and keeps the focus, open details and scrolling.
  function show(html) {
    const next = document.createElement("template");
    next.innerHTML = html;
    const opened = new Set([...main.querySelectorAll("details[open]")].map((d) => d.id));
    const scrolled = [...main.querySelectorAll(".scroll")].map((s) => [s.id, s.scrollLeft, s.scrollTop]);
    const active = document.activeElement;
    const focused = active && main.contains(active) && active !== main
      ? (active.id ? "#" + CSS.escape(active.id) : active.matches("summary") ? "#" + CSS.escape(active.parentElement.id) + " > summary" : null)
      : null;
    for (const details of next.content.querySelectorAll("details")) details.open = opened.has(details.id);

    const sections = [...next.content.children];
    if (sections.every((s) => document.getElementById(s.id))) {
      for (const s of sections) {
        const old = document.getElementById(s.id);
        if (s.outerHTML !== old.outerHTML) old.replaceWith(s);
      }
    } else {
      main.replaceChildren(...sections);
    }

    for (const [id, left, top] of scrolled) {
      const s = document.getElementById(id);
      if (s) { s.scrollLeft = left; s.scrollTop = top; }
    }
    if (focused && !main.contains(document.activeElement)) main.querySelector(focused)?.focus({ preventScroll: true });
    document.title = document.getElementById("health").dataset.title;
  }

  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };
  const events = new EventSource("events");
  events.addEventListener("open", () => say(connection, "live"));
  events.addEventListener("error", () => say(connection, "connection lost, connecting again"));
  events.addEventListener("page", (event) => {
    say(connection, frozen ? "frozen" : "live");
    if (frozen) keep(event.data);
    else show(event.data);
  });
  events.addEventListener("end", () => { events.close(); say(connection, "ended"); });

  hold.addEventListener("click", () => {
    frozen = !frozen;
    hold.setAttribute("aria-pressed", String(frozen));
    say(connection, frozen ? "frozen" : "live");
    if (!frozen && waiting.size > 0) show([...waiting.values()].join(""));
    if (!frozen) waiting.clear();
  });

  for (const button of document.querySelectorAll("button.control")) {
    button.addEventListener("click", async () => {
      try {
        const response = await fetch(button.dataset.action, { method: "POST" });
        answer.textContent = response.ok ? "done" : "refused: " + response.status;
      } catch {
        answer.textContent = "no answer";
      }
    });
  }
})();
