"use strict";
// The view in the address: settings that differ from the defaults follow # as name=value, so that a copied address
// opens the same view.
function startView() {
  const chosen = new URLSearchParams(location.hash.slice(1));

  function write() {
    history.replaceState(null, "", `#${chosen}`);
  }

  // Store a value, or remove it if it is the default, `usual`. `value` and `usual`: a text, or a list of texts.
  function keep(name, value, usual) {
    const [values, before] = [value, usual].map((one) => [one].flat().map(String));
    chosen.delete(name);
    if (values.join("\n") !== before.join("\n")) values.forEach((one) => chosen.append(name, one));
    write();
  }

  // Set a control from the address, and store its changes.
  function bind(control) {
    const name = control.dataset.view;
    const read = () => (control.type === "checkbox" ? String(Number(control.checked)) : control.value);
    const usual = read();
    if (chosen.has(name)) {
      const wanted = chosen.get(name);
      if (control.type === "checkbox") control.checked = wanted === "1";
      else if (control.tagName !== "SELECT" || [...control.options].some((option) => option.value === wanted)) control.value = wanted;
    }
    control.addEventListener("input", () => keep(name, read(), usual));
  }

  // Links in the table of contents only scroll, since the address holds the view.
  document.querySelectorAll('nav a[href^="#"]').forEach((link) => link.addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById(link.hash.slice(1)).scrollIntoView({ behavior: "smooth" });
  }));
  window.addEventListener("hashchange", () => location.reload());
  return { bind, keep, get: (name) => chosen.get(name), all: (name) => chosen.getAll(name), has: (name) => chosen.has(name) };
}
