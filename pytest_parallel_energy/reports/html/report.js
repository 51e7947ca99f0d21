"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  function config() {
    const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
    return {
      background: null,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      range: { category: [1, 2, 3, 4, 5, 6].map((i) => colour("--data-" + i)) },
      axis: { labelColor: ink, titleColor: soft, gridColor: line, domainColor: line, tickColor: line,
              titleFontWeight: 500, labelFlush: false },
      legend: { labelColor: ink, titleColor: soft },
      style: { ring: { color: ink, stroke: ink }, span: { color: ink, fill: ink } },
      rule: { color: ink }, errorbar: { color: ink, ticks: { color: ink, size: 8 } }, text: { color: soft }, line: { color: soft }, bar: { color: colour("--data-1") }, point: { color: colour("--data-2") },
    };
  }

  const LINE = 11;
  const pen = document.createElement("canvas").getContext("2d");
  const PLAIN = "10px system-ui, sans-serif", HEAD = "600 13px system-ui, sans-serif";
  function textWidth(text, font = PLAIN) {
    pen.font = font;
    return pen.measureText(text).width;
  }

  // No text is cut: a long one stands in several lines, broken between its parts or words where they fit, else behind
  // a sign in a word, and only then inside of it.
  const WORDS = /(?<=[^=] )(?![%=])/;  // "95 %" and "n = 3" stay together
  const BREAKS = [/(?<=, )/, WORDS, /(?<==)/, /(?<=[/_])/, /(?:)/u];
  function lines(text, room, font = PLAIN, breaks = BREAKS) {
    const found = [""];
    const add = (piece, finer) => {
      const longer = found.at(-1) + piece;
      if (textWidth(longer.trimEnd(), font) <= room) { found[found.length - 1] = longer; return; }
      if (textWidth(piece.trimEnd(), font) <= room || !finer.length) { found.push(piece); return; }
      for (const part of piece.split(finer[0])) { add(part, finer.slice(1)); }
    };
    add(text, breaks);
    return found.map((line) => line.trimEnd()).filter(Boolean);
  }

  // The title and what a reader of a saved picture must know are parts of the picture; the menu stands right of them.
  function titled(chart, width) {
    const room = Math.max(width, 200);
    return { text: lines(chart.caption, room - 50, HEAD, BREAKS.slice(1)), subtitle: lines(chart.footnote, room - 50, PLAIN, BREAKS.slice(1)),
             anchor: "start", frame: "bounds", fontSize: 13, fontWeight: 600, subtitleFontSize: 10, offset: 10, lineHeight: 17,
             color: colour("--ink"), subtitleColor: colour("--soft"), limit: 0 };
  }

  const layersOf = (spec) => [spec, ...(spec.layer || [])];
  const rowsOf = (spec) => layersOf(spec).flatMap((layer) => layer.data?.values || []).concat(spec.datasets?.rows || []);
  const valuesOf = (spec, field) => [...new Set(rowsOf(spec).filter((row) => field in row).map((row) => row[field]))];
  const widest = (texts) => Math.ceil(Math.max(0, ...texts.map(textWidth)));
  const rowRoom = (texts, width) => Math.min(widest(texts), Math.max(140, Math.floor(0.35 * width)));

  // The labels of rows, whole at any width: rows are as high as the label with the most lines.
  function fitRows(spec, width) {
    const axes = layersOf(spec).map((layer) => layer.encoding?.y).filter((y) => y?.field === "name" || y?.field === "row");
    if (!axes.length) { return 0; }
    const names = valuesOf(spec, axes[0].field), room = rowRoom(names, width);
    const cut = Object.fromEntries(names.map((name) => [name, lines(name, room + 1)]));
    const most = Math.max(...names.map((name) => cut[name].length));
    for (const y of axes) {
      y.axis = { ...y.axis, labelLimit: 0 };
      if (most > 1) {
        const text = JSON.stringify(cut) + "[datum.value]";
        Object.assign(y.axis, { labelExpr: text, labelLineHeight: LINE,
                                labelOffset: { expr: -LINE / 2 + " * (length(" + text + ") - 1)" } });
      }
    }
    if (most > 1) { spec.height = names.length * Math.max(Math.floor(spec.height / names.length), LINE * most + 10) + 8; }
    return room;
  }

  // Legends, complete at any width: as many columns as fit, and where not even one does, entries of several lines.
  const SYMBOL = 30;
  function fitLegends(spec, room) {
    for (const layer of layersOf(spec)) {
      for (const channel of ["color", "shape"]) {
        const shown = layer.encoding?.[channel];
        if (!shown?.legend) { continue; }
        const names = shown.legend.values || valuesOf(spec, shown.field);
        const entry = widest(names) + SYMBOL;
        shown.legend = { ...shown.legend, labelLimit: 0, columns: Math.min(Math.max(Math.floor(room / entry), 1), shown.legend.columns || 6) };
        if (entry > room) {
          const cut = Object.fromEntries(names.map((name) => [name, lines(name, room - SYMBOL)]));
          shown.legend.labelExpr = JSON.stringify(cut) + "[datum.label]";
          shown.legend.rowPadding = 5;
        }
      }
    }
  }

  // The axis of energy ends so far right of the points that the texts beside them fit; where that is more than half of
  // the chart, what stands in parentheses goes into a second line.
  function fitTexts(spec, room) {
    const marked = layersOf(spec).filter((layer) => layer.encoding?.text?.field && layer.encoding.x?.field === "right");
    for (const layer of marked) {
      const field = layer.encoding.text.field;
      if (2 * widest(valuesOf(spec, field)) > room) {
        for (const row of rowsOf(spec)) { if (row[field]?.includes(" (")) { row[field] = row[field].split(/ (?=\()/); } }
        layer.mark.dy = -5;
        layer.mark.lineHeight = LINE;
      }
      const texts = widest(valuesOf(spec, field).flat()) + 16;
      for (const { encoding } of layersOf(spec)) {
        const domain = encoding?.x?.scale?.domain;
        if (domain) { domain[1] = domain[0] + (domain[1] - domain[0]) * room / Math.max(room - texts, 40); }
      }
    }
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

  // The chart as this page shows it now: in its width, its theme and the reader's order.
  function prepared(place, spec, chart, axisWidth) {
    const copy = structuredClone(spec);
    copy.description = chart.description;
    copy.title = titled(chart, place.clientWidth);
    const order = document.querySelector('[data-order="' + place.dataset.chart + '"]');
    if (order) { ordered(copy, order.value); }
    const labels = fitRows(copy, place.clientWidth);
    const room = place.clientWidth - (axisWidth || (labels ? labels + 20 : 60));
    fitLegends(copy, room);
    fitTexts(copy, room);
    return copy;
  }

  // The page's policy allows no evaluated code and no style but its own.
  const EMBED = { renderer: "svg", ast: true, defaultStyle: false, tooltip: { disableDefaultStyle: true } };

  function draw(id, spec, chart, axisWidth = 0) {
    const place = document.getElementById(id);
    const actions = { export: { svg: true, png: true }, source: false, compiled: false, editor: false };
    return vegaEmbed(place, prepared(place, spec, chart, axisWidth), { ...EMBED, actions, config: config(), forceActionsMenu: true })
      .then((result) => {
        place.dataset.drawn = "yes";
        place.dataset.theme = dark() ? "dark" : "light";
        place.querySelector("summary").ariaLabel = "Save " + chart.title;
        for (const link of place.querySelectorAll(".vega-actions a")) {
          link.addEventListener("click", (event) => {
            event.preventDefault();
            save(link.textContent.endsWith("PNG") ? "png" : "svg", place, spec, chart, axisWidth);
          });
        }
        return result;
      })
      .catch((error) => { place.textContent = "This chart could not be drawn: " + error.message; console.error(error); });
  }

  // A saved picture is for paper: on white in the colours of the light theme, whatever the page shows.
  async function save(type, place, spec, chart, axisWidth) {
    const theme = root.dataset.theme;
    root.dataset.theme = "light";
    const copy = prepared(place, spec, chart, axisWidth), light = { ...config(), background: colour("--paper") };
    if (theme) { root.dataset.theme = theme; } else { delete root.dataset.theme; }
    copy.width = place.clientWidth;
    const made = await vegaEmbed(document.createElement("div"), copy, { ...EMBED, actions: false, config: light });
    const link = document.createElement("a");
    link.href = await made.view.toImageURL(type, type === "png" ? 2 : 1);
    link.download = chart.title.replace(/[^A-Za-z0-9._-]+/g, "-") + "." + type;
    link.click();
    made.finalize();
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
    const places = ["power", "heat", "spans"].map((kind) => document.getElementById("trace-" + kind));
    const width = places[0].parentElement.clientWidth;
    const axisWidth = Math.max(60, rowRoom(trace.spans.map((span) => span.row), width)) + 28;
    const domains = Object.keys(trace.lines).map((name) => name.replace(/_(w|celsius)$/, ""));
    const names = [...new Set(domains)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const words = { power: "Power over time", heat: "Temperature over time", spans: "Windows and rounds of the load over time" };
    for (const [kind, values] of Object.entries(rows)) {
      const place = document.getElementById("trace-" + kind);
      place.hidden = values.length === 0;
      if (values.length === 0) { continue; }
      const spec = structuredClone(data.traceSpecs[kind]);
      spec.datasets = { rows: values };
      if (kind === "spans") {
        spec.height = 22 * new Set(values.map((span) => span.row)).size;
      } else {  // a domain has one colour in both charts
        const shown = new Set(values.map((row) => row.name));
        spec.encoding.color.scale = { domain: names };
        spec.encoding.color.legend.values = names.filter((name) => shown.has(name));
      }
      for (const layer of layersOf(spec)) {
        if (!layer.encoding) { continue; }
        layer.encoding.x.scale = { domain: [0, end], nice: false, clamp: true };
        layer.encoding.y.axis = { ...layer.encoding.y.axis, minExtent: axisWidth, maxExtent: axisWidth };
      }
      draw(place.id, spec, { title: words[kind], caption: words[kind] + ": " + title, description: words[kind] + ", " + title,
                             footnote: data.traceFootnotes[choice.value] }, axisWidth + 8);
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
