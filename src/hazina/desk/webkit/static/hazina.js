// Hazina's own script: it makes pages livelier and decides nothing. Without it every page works:
// times are written out, live parts reload, toggles are forms.

const YEAR_S = 31536000;
const remember = (name, value) => {
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR_S}; samesite=lax`;
};

// Rings that run down, on the server's clock: the phone's own may be wrong by hours.
const running = new WeakSet();

function countdowns() {
  document.querySelectorAll("[data-countdown]").forEach((ring) => {
    if (running.has(ring)) return;
    running.add(ring);
    const started = performance.now();
    const tick = () => {
      if (ring.isConnected && draw(ring, performance.now() - started)) setTimeout(tick, 250);
    };
    tick();
  });
}

function draw(ring, passed) {
  const left = Date.parse(ring.dataset.until) - Date.parse(ring.dataset.now) - passed;
  const seconds = Math.max(0, Math.ceil(left / 1000));
  const share = Math.max(0, Math.min(1, left / 1000 / Number(ring.dataset.total)));
  ring.querySelector(".left").setAttribute("stroke-dashoffset", String(100 - 100 * share));
  const text = ring.querySelector("[data-countdown-left]");
  text.textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  ring.querySelector("[data-countdown-running]").hidden = left <= 0;
  ring.querySelector("[data-countdown-over]").hidden = left > 0;
  if (left > 0) return true;
  ring.dataset.over = "";
  document.querySelectorAll("[data-expires]").forEach((button) => { button.disabled = true; });
  return false;
}

// Parts that move: a stream of fragments our own server rendered; when it fails, ask again.
function lives() {
  document.querySelectorAll("[data-live]").forEach((place) => {
    if (place.hasAttribute("data-final")) return;
    if ("EventSource" in window) listen(place);
    else poll(place);
  });
}

function listen(place) {
  const source = new EventSource(place.dataset.live);
  let failures = 0;
  source.addEventListener("change", (event) => { failures = 0; swap(place, event.data); });
  source.addEventListener("final", (event) => { source.close(); finish(place, event.data); });
  source.addEventListener("error", () => {
    failures += 1;
    if (source.readyState === EventSource.CLOSED || failures > 5) { source.close(); poll(place); }
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}

function swap(place, html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  place.replaceChildren(template.content);
  countdowns();
}

function finish(place, html) {
  swap(place, html);
  place.dataset.final = "";
  if (place.hasAttribute("data-reload")) location.reload();
}

async function poll(place) {
  await new Promise((done) => setTimeout(done, 3000));
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector(`[data-live="${CSS.escape(place.dataset.live)}"]`);
    if (answer.ok && fresh) {
      place.replaceChildren(...fresh.childNodes);
      if (fresh.hasAttribute("data-final")) return;
    }
  } catch { /* offline for a moment: the next round asks again */ }
  poll(place);
}

// A form is sent once; coming back with the browser's button makes it usable again.
function forms() {
  addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    const button = event.submitter;
    if (!button?.dataset.busy) return;
    button.dataset.label = button.textContent;
    button.setAttribute("aria-disabled", "true");
    button.textContent = button.dataset.busy;
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => {
      delete form.dataset.sent;
      form.querySelectorAll("[data-label]").forEach((button) => {
        button.textContent = button.dataset.label;
        button.removeAttribute("aria-disabled");
        delete button.dataset.label;
      });
    });
  });
}

function clicks() {
  addEventListener("click", async (event) => {
    const target = event.target.closest("[data-copy], [data-close], [data-toggle]");
    document.querySelectorAll("details.more[open]").forEach((menu) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    if (!target) return;
    if (target.dataset.toggle) { event.preventDefault(); toggle(target.dataset.toggle); }
    if ("close" in target.dataset) target.closest(".notice").remove();
    if (target.dataset.copy) await copy(target);
  });
}

async function copy(button) {
  const said = button.querySelector("[data-copied]");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    said.textContent = "Copied";
  } catch {
    said.textContent = "Copying is not allowed here: select the text instead";
  }
  setTimeout(() => { said.textContent = ""; }, 4000);
}

function toggle(what) {
  const root = document.documentElement;
  if (what === "amounts") {
    const hidden = root.dataset.amounts !== "hidden";
    root.dataset.amounts = hidden ? "hidden" : "shown";
    remember("hz_amounts", hidden ? "hidden" : "shown");
    return;
  }
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember("hz_theme", root.dataset.theme);
}

countdowns();
lives();
forms();
clicks();
(document.querySelector("[aria-invalid]") ?? document.querySelector("[data-focus]"))?.focus();
