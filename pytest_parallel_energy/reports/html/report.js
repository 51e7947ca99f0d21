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
      rule: { color: ink }, errorbar: { color: ink, ticks: { color: ink, size: 8 } }, text: { color: soft }, line: { color: soft }, bar: { color: colour("--data-1") }, point: { color: colour("--data-2") },
    };
  }

  function wrapped(text, most) {
    const lines = [""];
    for (const word of text.split(" ")) {
      const line = lines.at(-1);
      if (line && line.length + word.length + 1 > most) { lines.push(word); } else { lines[lines.length - 1] = line ? line + " " + word : word; }
    }
    return lines;
  }

  // The title and what a reader of a saved picture must know are parts of the picture. Widths are those of the system
  // font, roughly: 7.4 pixels for each character of the title, 5.4 for each of the line below it.
  function titled(chart, width) {
    const room = Math.max(width, 200);
    return { text: wrapped(chart.caption, Math.floor((room - 44) / 7.4)), subtitle: wrapped(chart.footnote, Math.floor(room / 5.4)),
             anchor: "start", frame: "bounds", fontSize: 13, fontWeight: 600, subtitleFontSize: 10, offset: 10, lineHeight: 17,
             color: colour("--ink"), subtitleColor: colour("--soft"), limit: 0 };
  }

  const LABEL_LINE = 21;
  // Pixels from which on a ratio stands in a chart with its interval; the table below the chart has it at any width.
  const RATIO_WIDTH = 1000;
  // On a phone a row's label stands in several lines, one for each of its parts, instead of being cut.
  function narrowed(spec) {
    const layers = [spec, ...(spec.layer || [])];
    for (const layer of layers) {
      for (const channel of ["color", "shape"]) {
        if (layer.encoding?.[channel]?.legend) { layer.encoding[channel].legend.columns = 1; }
      }
    }
    const names = new Set(layers.flatMap((layer) => (layer.data?.values || []).map((row) => row.name)));
    const axes = layers.map((layer) => layer.encoding?.y).filter((y) => y?.field === "name");
    if (!axes.length) { return; }
    const chopped = (part) => part.match(new RegExp(".{1," + LABEL_LINE + "}", "g")) || [""];
    // a value that does not fit behind its name stands below it: a number is not cut
    const fitted = (part) => part.length <= LABEL_LINE ? [part] : part.split(/(?<==)/).flatMap(chopped);
    const pieces = (name) => name.split(", ").flatMap(fitted);
    const longest = Math.max(...[...names].map((name) => pieces(name).length));
    const cut = Object.fromEntries([...names].map((name) => [name, pieces(name)]));
    for (const y of axes) { y.axis = { ...y.axis, labelLimit: 140, labelLineHeight: 11, labelExpr: JSON.stringify(cut) + "[datum.label]" }; }
    spec.height = names.size * Math.max(24, 11 * longest + 10) + 8;
  }

  function ordered(spec, order) {
    const layers = spec.layer || [spec];
    const rows = layers.flatMap((layer) => layer.data?.values || []).concat(spec.data?.values || []);
    const means = new Map();
    for (const row of rows) { if ("mean" in row) { means.set(row.name, Math.max(row.mean, means.get(row.name) ?? 0)); } }
    const names = [...means.keys()];
    if (order === "name") { names.sort((a, b) => a.localeCompare(b, undefined, { numeric: true })); }
    if (order === "rising") { names.sort((a, b) => means.get(a) - means.get(b)); }
    if (order === "falling") { names.sort((a, b) => means.get(b) - means.get(a)); }
    for (const layer of [spec, ...layers]) { if (layer.encoding?.y?.field === "name") { layer.encoding.y.sort = names; } }
  }

  function draw(id, spec, chart) {
    const place = document.getElementById(id);
    const copy = structuredClone(spec);
    copy.description = chart.description;
    copy.title = titled(chart, place.clientWidth);
    const order = document.querySelector('[data-order="' + place.dataset.chart + '"]');
    if (order) { ordered(copy, order.value); }
    if (narrow()) { narrowed(copy); }
    if (place.clientWidth < RATIO_WIDTH) {
      for (const layer of copy.layer || []) { if (layer.encoding?.text?.field === "ratio") { layer.encoding.text.field = "short"; } }
    }
    const name = chart.title.replace(/[^A-Za-z0-9._-]+/g, "-");
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
      draw(place.id, chart.spec, chart);
    }
  }

  for (const box of document.querySelectorAll("[data-order]")) {
    box.addEventListener("change", () => {
      const chart = data.charts[box.dataset.order];
      draw("chart-" + box.dataset.order, chart.spec, chart);
    });
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
      draw(place.id, spec, { title: kind, caption: words[kind] + ": " + title, description: words[kind] + ", " + title,
                             footnote: data.traceFootnotes[choice.value] });
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
