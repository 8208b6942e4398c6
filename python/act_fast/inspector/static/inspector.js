// What pages do beyond HTML: news, countdowns, copying, and Ctrl+Enter. Without it every page works all the same.
"use strict";

(() => {
  const body = document.body;
  const pill = document.getElementById("live");
  const word = document.getElementById("live-word");

  // News: the open page is fetched again, by htmx, when it says that it shows what is going on now.
  const main = () => document.getElementById("main");
  if (body.dataset.pinned === "no" && window.EventSource) {
    let source = null;
    let first = !document.hidden;
    const listen = () => {
      source = new EventSource(body.dataset.live);
      source.addEventListener("message", () => {
        pill.dataset.state = "live";
        word.textContent = "live";
        if (!first && main()?.hasAttribute("hx-get") && !document.hidden && !busy()) htmx.trigger(body, "news");
        first = false;
      });
      source.addEventListener("error", () => {
        pill.dataset.state = "lost";
        word.textContent = "reconnecting";
        first = false;
      });
    };
    // Browsers open six connections to a host: with one held by each tab, the seventh would show nothing.
    document.addEventListener("visibilitychange", () => {
      source?.close();
      first = false;
      if (!document.hidden) listen();
    });
    if (!document.hidden) listen();
  }

  // While somebody types or selects text, the page stays as it is.
  function busy() {
    const active = document.activeElement;
    const typing = active && ["INPUT", "SELECT", "TEXTAREA"].includes(active.tagName);
    return typing || !window.getSelection().isCollapsed;
  }

  // Leases run out while one looks.
  setInterval(() => {
    for (const each of document.querySelectorAll("[data-left]")) {
      const left = Number(each.dataset.left) - 0.5;
      each.dataset.left = String(Math.max(0, left));
      each.textContent = left > 0 ? `${left < 10 ? left.toFixed(1) : Math.round(left)} s` : "over";
    }
  }, 500);

  // The slider: the address follows the version.
  body.addEventListener("input", (event) => {
    if (event.target.type !== "range") return;
    const shown = document.getElementById("version-shown");
    if (shown) shown.textContent = `${Number(event.target.value).toLocaleString("en")} of ${Number(event.target.max).toLocaleString("en")}`;
  });
  body.addEventListener("change", (event) => {
    if (event.target.type !== "range") return;
    const here = new URL(window.location);
    here.searchParams.set("version", event.target.value);
    window.history.replaceState(null, "", here);
  });

  function dress() {
    for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = !navigator.clipboard;
    for (const go of document.querySelectorAll("button.go")) go.hidden = true;
  }
  dress();
  body.addEventListener("htmx:after:swap", dress);

  body.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    navigator.clipboard.writeText(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  });

  body.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) event.target.form.requestSubmit();
  });
})();
