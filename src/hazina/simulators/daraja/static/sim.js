// Keeps a handset's screen alive: an event from the simulator redraws the part that changed.
// Without this file the page works through its forms and refreshes itself.
"use strict";

(function () {
  const screen = document.getElementById("screen");
  if (!screen || !screen.dataset.events) return;

  function typed() {
    const pin = screen.querySelector("#pin");
    const prompt = screen.querySelector("[data-prompt]");
    return pin && prompt ? { prompt: prompt.dataset.prompt, pin: pin.value, focus: document.activeElement === pin } : null;
  }

  function restore(before) {
    const pin = screen.querySelector("#pin");
    if (!pin) return;
    const same = before && before.prompt === screen.querySelector("[data-prompt]").dataset.prompt;
    if (same) pin.value = before.pin;
    if (!same || before.focus) pin.focus({ preventScroll: !!same });
  }

  let drawing = false;
  let again = false;

  async function draw() {
    if (drawing) { again = true; return; }
    drawing = true;
    try {
      // Settings being edited must not vanish under the person's fingers.
      const open = screen.querySelector("details[open]");
      if (open && open.contains(document.activeElement)) return;
      const answer = await fetch(screen.dataset.part, { cache: "no-store" });
      if (!answer.ok) return;
      const fresh = await answer.text();
      const before = typed();
      screen.innerHTML = fresh;
      if (open) screen.querySelector("details").open = true;
      restore(before);
      document.title = document.title.replace(/^● /, "");
      if (screen.querySelector("[data-prompt]")) document.title = "● " + document.title;
    } catch {
      // The simulator is away; the next event or tick tries again.
    } finally {
      drawing = false;
      if (again) { again = false; draw(); }
    }
  }

  let first = true;
  const events = new EventSource(screen.dataset.events);
  events.onmessage = function (event) {
    // The first event tells what the page shows, unless something happened while it was on its way.
    const known = first && event.data === screen.dataset.mark;
    first = false;
    if (!known) draw();
  };
  events.onerror = function () { first = false; };

  setInterval(function () {
    const seconds = screen.querySelector("[data-seconds]");
    if (seconds) {
      const left = Math.max(0, Number(seconds.textContent) - 1);
      seconds.textContent = String(left);
      screen.querySelector("[data-left]").value = left;
      if (left === 0) draw();
    } else if (events.readyState !== EventSource.OPEN) {
      draw();
    }
  }, 1000);

  restore(null);
})();
