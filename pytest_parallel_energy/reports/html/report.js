"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const narrow = () => window.innerWidth < 600;

  function config() {
    const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
    return {
      background: null,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      range: { category: [1, 2, 3, 4, 5, 6].map((i) => colour("--data-" + i)) },
      axis: { labelColor: ink, titleColor: soft, gridColor: line, domainColor: line, tickColor: line,
              titleFontWeight: 500, labelLimit: narrow() ? 110 : 320 },
      legend: { labelColor: ink, titleColor: soft, labelLimit: narrow() ? 280 : 400 },
      rule: { color: ink }, errorbar: { color: ink }, text: { color: soft }, line: { color: soft }, bar: { color: colour("--data-1") }, point: { color: colour("--data-2") },
    };
  }

  function draw(id, spec, name, description, footnote) {
    const place = document.getElementById(id);
    const copy = structuredClone(spec);
    copy.description = description;
    if (footnote) {
      copy.title = { text: footnote, orient: "bottom", anchor: "start", fontSize: 10, fontWeight: "normal", offset: 8, color: colour("--soft"),
                     limit: Math.max(place.clientWidth - 20, 100) };
    }
    if (narrow()) {
      for (const layer of [copy, ...(copy.layer || [])]) {
        for (const channel of ["color", "shape"]) {
          if (layer.encoding?.[channel]?.legend) { layer.encoding[channel].legend.columns = 1; }
        }
        const axis = layer.encoding?.y?.axis;
        if (axis && axis.labelLimit && !axis.minExtent) {
          axis.labelLimit = 140;
          axis.labelExpr = "length(datum.label) > 21 ? slice(datum.label, 0, 10) + '…' + slice(datum.label, -10) : datum.label";
        }
      }
    }
    const actions = { export: { svg: true, png: true }, source: false, compiled: false, editor: false };
    return vegaEmbed(place, copy, { renderer: "svg", actions, config: config(), downloadFileName: name, scaleFactor: { png: 2 },
      // The page's policy allows no evaluated code and no style but its own.
      ast: true, defaultStyle: false, forceActionsMenu: true, tooltip: { disableDefaultStyle: true } })
      .then((result) => { place.dataset.drawn = "yes"; return result; })
      .catch((error) => { place.textContent = "This chart could not be drawn: " + error.message; console.error(error); });
  }

  function drawCharts() {
    for (const place of document.querySelectorAll("[data-chart]")) {
      const chart = data.charts[place.dataset.chart];
      draw(place.id, chart.spec, chart.title.replace(/[^A-Za-z0-9._-]+/g, "-"), chart.description, data.footnote);
    }
  }

  const choice = document.getElementById("trace-choice");
  if (choice) {
    for (const [key, title] of Object.entries(data.traceTitles)) { choice.add(new Option(title, key)); }
    choice.addEventListener("change", drawTrace);
  }

  function drawTrace() {
    if (!choice) { return; }
    const trace = data.traces[choice.value], title = data.traceTitles[choice.value];
    const rows = { power: [], heat: [], spans: trace.spans };
    let end = 0;
    for (const [name, points] of Object.entries(trace.lines)) {
      const hot = name.endsWith("_celsius");
      for (const [t, v] of points) {
        rows[hot ? "heat" : "power"].push({ name: name.replace(/_(w|celsius)$/, ""), t, v });
        end = Math.max(end, t);
      }
    }
    const words = { power: "Power over time", heat: "Temperature over time", spans: "Windows and rounds of the load over time" };
    for (const [kind, values] of Object.entries(rows)) {
      const place = document.getElementById("trace-" + kind);
      place.hidden = values.length === 0;
      if (values.length === 0) { continue; }
      const spec = structuredClone(data.traceSpecs[kind]);
      spec.datasets = { rows: values };
      if (kind === "spans") { spec.height = 22 * new Set(values.map((span) => span.row)).size; }
      spec.encoding.x.scale = { domain: [0, end], nice: false, clamp: true };
      draw(place.id, spec, kind, words[kind] + ", " + title);
    }
  }

  function sortBy(table, index, direction) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, i) => { if (i === index) { head.setAttribute("aria-sort", direction); } else { head.removeAttribute("aria-sort"); } });
    const sign = direction === "ascending" ? 1 : -1;
    const numeric = heads[index].classList.contains("num");
    const key = (row) => {
      const cell = row.cells[index];
      if (!numeric) { return cell.textContent; }
      return "sort" in cell.dataset ? Number(cell.dataset.sort) : null;
    };
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) { return (a === null) - (b === null); }
      return sign * (numeric ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }

  for (const table of document.querySelectorAll("table")) {
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      head.querySelector("button").addEventListener("click", () => {
        sortBy(table, index, head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending");
      });
    });
  }

  for (const box of document.querySelectorAll("input[data-for]")) {
    const table = document.getElementById(box.dataset.for);
    const count = box.closest(".filter").querySelector("output");
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = words.length ? shown + " of " + table.tBodies[0].rows.length : "";
    });
  }

  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  function redraw() { if (window.vegaEmbed) { drawCharts(); drawTrace(); } }
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  redraw();
})();
