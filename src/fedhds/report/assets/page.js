"use strict";
(() => {
  document.documentElement.classList.add("scripted");
  const { themes, datasets, figures } = JSON.parse(document.getElementById("data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const printing = matchMedia("print");
  let mode = wanted();

  function wanted() {
    return dark.matches && !printing.matches ? "dark" : "light";
  }

  // Data are kept as columns, of which texts are kept once each.
  const unpacked = new Map();
  function rowsOf(name) {
    if (!unpacked.has(name)) {
      const columns = Object.entries(datasets[name]).map(([key, kept]) =>
        [key, kept.texts ? kept.at.map((i) => kept.texts[i]) : kept]);
      const count = columns.length ? columns[0][1].length : 0;
      unpacked.set(name, Array.from({ length: count }, (_, i) =>
        Object.fromEntries(columns.map(([key, values]) => [key, values[i]]))));
    }
    return unpacked.get(name);
  }

  function namesIn(spec, found = new Set()) {
    if (spec && typeof spec === "object") {
      if (spec.data && spec.data.name) found.add(spec.data.name);
      Object.values(spec).forEach((part) => namesIn(part, found));
    }
    return found;
  }

  // --- panels -------------------------------------------------------------------------------
  const panels = [...document.querySelectorAll(".panel")].map((element) => {
    const name = element.closest(".figure").dataset.figure;
    const { renderer, panels: specs } = figures[name];
    const spec = specs[element.dataset.panel];
    return { element, name, renderer, spec, shown: null, view: null, drawing: Promise.resolve() };
  });

  function draw(panel) {
    if (panel.shown !== mode) {
      panel.shown = mode;
      const now = mode;
      panel.drawing = panel.drawing.then(() => embed(panel, now));
    }
    return panel.drawing;
  }

  async function embed(panel, mode) {
    const names = [...namesIn(panel.spec)];
    const theme = themes[mode];
    const limit = Math.min(theme.axis.labelLimit, 0.42 * panel.element.clientWidth);
    const spec = {
      ...panel.spec,
      autosize: { type: "fit-x", contains: "padding" },
      datasets: Object.fromEntries(names.map((each) => [each, rowsOf(each)])),
    };
    const before = panel.view;
    const result = await vegaEmbed(panel.element, spec, {
      mode: "vega-lite",
      ast: true, // expressions are interpreted, as the page's policy forbids eval
      renderer: panel.renderer,
      config: { ...theme, axis: { ...theme.axis, labelLimit: limit } },
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: `${panel.name}-${panel.element.dataset.panel}`,
      tooltip: { theme: mode },
    });
    if (before) before.finalize();
    panel.view = result;
    panel.element.dataset.drawn = mode;
    const picture = panel.element.querySelector(".chart-wrapper");
    picture.setAttribute("aria-label", panel.spec.title.text);
    const menu = panel.element.querySelector("summary");
    if (menu) menu.setAttribute("aria-label", "Save this panel as PNG or SVG");
  }

  const drawAll = () => Promise.all(panels.map(draw));

  // What is near the window is drawn at once, the rest while nothing else is to be done.
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      watch.unobserve(entry.target);
      draw(panels.find((panel) => panel.element === entry.target));
    }
  }, { rootMargin: "600px" });
  panels.forEach((panel) => watch.observe(panel.element));

  const idle = window.requestIdleCallback || ((work) => setTimeout(work, 50));
  function drawNext() {
    const next = panels.find((panel) => panel.shown === null);
    if (next) draw(next).then(() => idle(drawNext));
  }
  if (document.readyState === "complete") idle(drawNext);
  else addEventListener("load", () => idle(drawNext));

  function change() {
    if (mode === wanted()) return;
    mode = wanted();
    panels.filter((panel) => panel.shown !== null).forEach(draw);
  }
  dark.addEventListener("change", change);
  printing.addEventListener("change", () => { change(); if (printing.matches) drawAll(); });
  addEventListener("beforeprint", () => { mode = "light"; drawAll(); });
  addEventListener("afterprint", change);

  // --- the table ----------------------------------------------------------------------------
  function compare(one, other) {
    if (one === "" || other === "") return (one === "") - (other === "");
    const numbers = [Number(one), Number(other)];
    return numbers.some(Number.isNaN) ? one.localeCompare(other) : numbers[0] - numbers[1];
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.cells[column].dataset.sort;
        const sorted = [...table.tBodies[0].rows].sort((a, b) => {
          const missing = (value(a) === "") - (value(b) === "");
          return missing || (up ? 1 : -1) * compare(value(a), value(b));
        });
        table.tBodies[0].append(...sorted);
      });
    });
  }
})();
