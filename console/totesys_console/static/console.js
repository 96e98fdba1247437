// Live refresh: fetches the page again and replaces the parts that have changed.
"use strict";

const EVERY = 5000;
const SILENT = 30000;
const news = document.getElementById("news");
let announced = news.dataset.news;
let answered = Date.now();
let paused = false;

function put(fresh) {
  for (const part of fresh.querySelectorAll("[data-live]")) {
    const there = document.getElementById(part.id);
    if (!there || there.outerHTML === part.outerHTML) continue;
    const active = there.contains(document.activeElement) ? document.activeElement : null;
    // Don't disturb typing.
    if (active && active.matches("input")) continue;
    const place = active ? [...there.querySelectorAll("a, button, [tabindex]")].indexOf(active) : -1;
    const path = active && active.getAttribute("href");
    const scrolled = [...there.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
    there.replaceWith(document.adoptNode(part));
    part.querySelectorAll(".scroll").forEach((one, number) => (one.scrollLeft = scrolled[number] || 0));
    if (!active) continue;
    const all = [...part.querySelectorAll("a, button, [tabindex]")];
    const same = (path && all.find((one) => one.getAttribute("href") === path)) || all[place];
    if (same) same.focus({ preventScroll: true });
  }
}

async function refresh() {
  const answer = await fetch(location.pathname + location.search, { signal: AbortSignal.timeout(SILENT) });
  if (!answer.ok) throw new Error(answer.statusText);
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  answered = Date.now();
  document.title = fresh.title;
  put(fresh);
  const current = fresh.getElementById("news").dataset.news;
  if (current !== announced) news.textContent = announced = current;
}

async function turn() {
  if (!paused && !document.hidden) {
    try {
      await refresh();
      document.body.classList.remove("stale");
    } catch {
      if (Date.now() - answered > 2 * EVERY) {
        document.body.classList.add("stale");
        news.textContent = "The service does not answer. The page is out of date.";
      }
    }
  }
  setTimeout(turn, EVERY);
}

const button = document.createElement("button");
button.type = "button";
button.className = "pause";
button.textContent = "Pause refresh";
button.addEventListener("click", () => {
  paused = !paused;
  button.setAttribute("aria-pressed", String(paused));
});
button.setAttribute("aria-pressed", "false");
document.querySelector(".top").append(button);
setTimeout(turn, EVERY);
