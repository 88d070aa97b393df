// The explorer: choose encoders, a measure, distances and a transformation; see every value at a magnitude; hear
// the clips behind a point. Texts of the run are only ever set as text, never as markup.
(async () => {
  "use strict";
  const host = document.getElementById("explore");
  if (!host) return;
  const { unpacked, embed, dark } = window.nearkin;
  const data = JSON.parse(await unpacked("explorer-data"));
  const state = {
    chosen: new Set(data.systems.flatMap((one, s) => (one.tested ? [s] : []))),
    others: true, measure: 0, audio: 0, latent: Math.max(0, data.latentNames.indexOf("cosine")), t: 0, at: 0,
  };
  if (!state.chosen.size) state.chosen.add(0);
  // It opens where one of them begins to lose clips.
  const [opening] = data.lost.filter(([s, latent]) => state.chosen.has(s) && latent === state.latent).sort((a, b) => a[3] - b[3]);
  if (opening) state.t = data.transformations.findLastIndex((t) => t.first <= opening[2]);

  // -- small makers ------------------------------------------------------------------------------
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes))
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
    node.append(...children);
    return node;
  };
  const choice = (label, options, value, change) => {
    const list = make("select", { onchange: () => change(Number(list.value)) },
      ...options.map((text, i) => make("option", { value: i, selected: i === value }, text)));
    return make("label", {}, label + " ", list);
  };
  const colour = (pair) => pair[dark.matches ? 1 : 0];
  const swatch = (s) => {
    const node = make("span", { class: "swatch", "aria-hidden": "true" });
    node.style.background = colour(s < 0 ? data.audioColour : data.systems[s].colour);
    return node;
  };
  const shown = (number) => (number === null || number === undefined ? "–" : number.toFixed(2));
  // Two distances with as many digits as it takes to tell them apart.
  const apart = (a, b) => {
    let digits = 3;
    while (digits < 7 && a !== b && a.toPrecision(digits) === b.toPrecision(digits)) digits += 1;
    return [a, b].map((one) => String(Number(one.toPrecision(digits))));
  };
  const nameOf = (s) => (s < 0 ? "audio space" : data.systems[s].label);
  const between = () => data.measures[state.measure] !== "C_W";
  const transformation = () => data.transformations[state.t];
  const pointWords = (t, i) => t.code + " at " + t.words[i];

  // -- what is drawn -----------------------------------------------------------------------------
  const curves = () => data.curves.filter(([s, m, audio, latent]) => m === state.measure && (s < 0
    ? state.others && audio === state.audio && latent < 0
    : latent === state.latent && (audio < 0 || audio === state.audio) && (state.chosen.has(s) || (state.others && !data.systems[s].tested))));
  const lostAt = (s, point) => data.lost.find((one) => one[0] === s && one[1] === state.latent && one[2] === point);
  const rowsOf = () => {
    const t = transformation();
    return curves().flatMap(([s, , , , values]) => t.x.flatMap((x, i) => {
      const value = values[t.first + i];
      if (!value) return [];
      const [v, low, high] = value;
      const words = nameOf(s) + ", " + pointWords(t, i) + ": " + shown(v) + " [" + shown(low) + ", " + shown(high) + "]";
      return [{ s, i, x, v, low, high, side: t.sides[i], words, colour: colour(s < 0 ? data.audioColour : data.systems[s].colour), bold: state.chosen.has(s), dash: s < 0 ? [6, 3] : data.systems[s].dash }];
    }));
  };
  const spec = (rows, width) => {
    const t = transformation();
    const ink = getComputedStyle(host).color;
    const ordered = [...rows].sort((a, b) => a.bold - b.bold);
    const x = { field: "x", type: "quantitative", title: t.axis, scale: { nice: false, padding: 12, ...(t.log && Math.min(...t.x) > 0 ? { type: "log", base: 2 } : { zero: false }), domain: [Math.min(...t.x), Math.max(...t.x)] }, axis: { grid: false, labelOverlap: true, ...(t.log ? { format: "~r" } : {}) } };
    const y = { field: "v", type: "quantitative", title: data.measures[state.measure], scale: { domain: [data.lowest[state.measure], 1], nice: false } };
    const hue = { field: "colour", type: "nominal", scale: null, legend: null };
    const each = [{ field: "s", type: "nominal" }, { field: "side", type: "nominal" }];
    const layer = [];
    if (t.identity !== null) layer.push({ data: { values: [{ x: t.identity }] }, mark: { type: "rule", color: dark.matches ? "#e5716f" : "#c1272d", opacity: 0.6 }, encoding: { x } });
    layer.push(
      { transform: [{ filter: "datum.bold" }], mark: { type: "area", opacity: 0.16 }, encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color: hue, detail: each } },
      { transform: [{ filter: "!datum.bold" }], mark: { type: "line", strokeWidth: 1.1 }, encoding: { x, y, color: hue, detail: each, strokeDash: { field: "dash", type: "nominal", scale: null, legend: null } } },
      { transform: [{ filter: "datum.bold" }], mark: { type: "line", strokeWidth: 2.4 }, encoding: { x, y, color: hue, detail: each } },
      { data: { values: [{}] }, mark: { type: "rule", strokeDash: [3, 3], color: ink }, encoding: { x: { datum: { expr: "at" }, type: "quantitative", scale: x.scale } } },
      { transform: [{ filter: "!datum.bold" }], mark: { type: "point", filled: true, size: 22, opacity: 1, cursor: "pointer" }, encoding: { x, y, color: hue, description: { field: "words" } } },
      { transform: [{ filter: "datum.bold" }], mark: { type: "point", filled: true, size: 70, opacity: 1, cursor: "pointer" }, encoding: { x, y, color: hue, description: { field: "words" } } },
    );
    return {
      data: { values: ordered }, params: [{ name: "at", value: t.x[state.at] }], width, height: 280, layer, autosize: { type: "fit", contains: "padding" },
      config: { background: null, font: "system-ui, sans-serif", view: { stroke: null }, axis: { labelColor: ink, titleColor: ink, domainColor: "#777777", tickColor: "#777777", gridColor: "#888888", gridOpacity: 0.25, labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal" } },
    };
  };

  let view;
  let drawn = 0;
  const draw = async () => {
    const number = ++drawn;
    const rows = rowsOf();
    const t = transformation();
    const result = await embed(chart, spec(rows, host.clientWidth), { actions: false, renderer: "svg" });
    if (number !== drawn) return result.finalize();
    if (view) view.finalize();
    view = { view: result.view, finalize: result.finalize, t };
    const plot = chart.querySelector("svg");
    plot.setAttribute("role", "group");
    plot.setAttribute("aria-label", data.measures[state.measure] + " over " + t.title + "; the table below lists the values");
    for (const mark of plot.querySelectorAll("[aria-roledescription=point]")) {
      const { s, i } = mark.__data__.datum;
      mark.setAttribute("tabindex", "0");
      mark.setAttribute("role", "button");
      mark.addEventListener("focus", () => go(i));
      mark.addEventListener("click", () => failures(s, i));
      mark.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); failures(s, i); }
      });
    }
    const frame = plot.querySelector("path.background");
    plot.addEventListener("mousemove", (event) => {
      const at = event.clientX - frame.getBoundingClientRect().left;
      const away = t.x.map((x) => Math.abs(result.view.scale("x")(x) - at));
      go(away.indexOf(Math.min(...away)));
    });
    host.dataset.drawn = String(number);
  };

  // -- the rule, and the values it lists ----------------------------------------------------------
  const go = (i) => {
    const t = transformation();
    if (i === state.at) return;
    state.at = i;
    slider.value = String(i);
    slider.setAttribute("aria-valuetext", t.words[i]);
    if (view && view.t === t) view.view.signal("at", t.x[i]).runAsync();
    list();
  };
  const list = () => {
    const t = transformation();
    const rows = rowsOf().filter((row) => row.i === state.at).sort((a, b) => b.v - a.v || a.s - b.s);
    const cells = rows.map((row) => {
      const lost = row.s < 0 ? undefined : lostAt(row.s, t.first + row.i);
      const told = lost ? make("button", { type: "button", "aria-label": "Listen to clips that " + nameOf(row.s) + " lost", onclick: () => failures(row.s, row.i) }, "hear " + lost[3]) : make("span", { class: "quiet" }, row.s < 0 ? "" : "–");
      return make("tr", row.bold ? {} : { class: "aside" }, make("th", { scope: "row" }, swatch(row.s), nameOf(row.s)),
        make("td", { class: "n" }, shown(row.v)), make("td", { class: "n" }, shown(row.low) + " to " + shown(row.high)), make("td", {}, told));
    });
    values.replaceChildren(
      make("caption", {}, data.measures[state.measure] + ", " + pointWords(t, state.at) + distances()),
      make("thead", {}, make("tr", {}, ...["encoder", "value", "95 % interval", "lost clips"].map((text, i) => make("th", { scope: "col", class: i === 1 || i === 2 ? "n" : false }, text)))),
      make("tbody", {}, ...cells));
  };
  const distances = () => " (" + (between() ? data.audio[state.audio] + " and " : "") + data.latent[state.latent] + ")";

  // -- failures of a point ------------------------------------------------------------------------
  let sounds;
  const sound = (clip, point) => {
    sounds = sounds || JSON.parse(document.getElementById("explorer-sounds").textContent);
    return sounds[point === undefined ? String(clip) : clip + "." + point];
  };
  const player = (role, clip, point) => {
    const name = clip < 0 ? "a clip that is not in this page" : data.clips[clip];
    const source = clip < 0 ? undefined : sound(clip, point);
    return make("div", {}, make("span", { class: "role" }, role),
      source ? make("audio", { controls: true, preload: "none", "aria-label": role + ": " + name, src: "data:audio/mpeg;base64," + source }) : make("span", { class: "quiet" }, " (no sound in this page)"),
      make("span", { class: "file" }, name));
  };
  const failures = (s, i) => {
    const t = transformation();
    go(i);
    const lost = s < 0 ? undefined : lostAt(s, t.first + i);
    const title = make("h3", { tabindex: "-1" }, nameOf(s) + ", " + pointWords(t, i) + ", " + data.latent[state.latent]);
    if (!lost) {
      panel.replaceChildren(title, make("p", {}, s < 0 ? "Failures are listed of encoders, not of the audio space." : "No clip is listed as lost here."));
    } else {
      const items = lost[4].map(([clip, other, rank, own, nearest, trial]) => [clip, other, rank, ...apart(own, nearest), trial]).map(([clip, other, rank, own, nearest, trial]) => make("li", {},
        make("p", {}, "The " + t.noun + " lies " + (own === nearest ? "exactly as near to " : "nearer to ") + "“" + (other < 0 ? "another" : data.clips[other]) + "” (" + nearest + ") than to its own original (" + own + ") ",
          make("span", { class: "quiet" }, "its own original ranks " + rank + " of " + data.n + (trial > 1 ? "; trial " + trial : ""))),
        make("div", { class: "players" }, player("changed clip", clip, t.first + i), player("its own original", clip), player("the intruder", other))));
      const told = items.length < lost[3] ? "The worst " + items.length + " of " + lost[3] + " lost clips." : lost[3] + " lost.";
      panel.replaceChildren(title, make("p", { class: "quiet" }, told), make("ol", { class: "failures" }, ...items));
    }
    title.focus({ preventScroll: true });
    panel.scrollIntoView({ block: "nearest" });
  };

  // -- where the embeddings lie -------------------------------------------------------------------
  const drawMap = async (s) => {
    const rows = data.map.rows[s];
    const ink = getComputedStyle(host).color;
    const of = data.transformations.flatMap((t) => t.x.map((x, i) => ({ kind: t.sides[i], words: pointWords(t, i) })));
    const kinds = [...new Set(rows.filter((row) => row[1] >= 0).map((row) => of[row[1]].kind))];
    const hues = kinds.map((kind, k) => colour(data.mapColours[k % data.mapColours.length]));
    const points = rows.map(([clip, point, x, y]) => ({ x, y, kind: point < 0 ? "originals" : of[point].kind, clip: data.clips[clip], change: point < 0 ? "unchanged" : of[point].words }));
    const axis = { axis: null, type: "quantitative", scale: { zero: false } };
    const side = Math.min(520, host.clientWidth);
    await embed(mapChart, {
      data: { values: points }, width: side, height: side, autosize: { type: "fit", contains: "padding" },
      mark: { type: "point", filled: true, size: 34, opacity: 0.85 },
      encoding: { x: { field: "x", ...axis }, y: { field: "y", ...axis }, color: { field: "kind", type: "nominal", sort: null, title: null, scale: { domain: ["originals", ...kinds], range: [ink, ...hues] }, legend: { orient: "top", columns: Math.max(2, Math.floor(side / 90)) } }, tooltip: [{ field: "clip", type: "nominal" }, { field: "change", type: "nominal" }] },
      config: { background: null, font: "system-ui, sans-serif", view: { stroke: "#888888" }, legend: { labelColor: ink } },
    }, { actions: false, renderer: "svg", tooltip: { theme: dark.matches ? "dark" : "light" } });
    mapChart.querySelector("svg").setAttribute("aria-label", nameOf(s) + ": every clip and its mildest changes in a plane");
  };

  // -- the controls -------------------------------------------------------------------------------
  const chart = make("div", { class: "explorer-chart" });
  const values = make("table", { class: "values", "aria-live": "polite" });
  const panel = make("div", { class: "explorer-failures", "aria-live": "polite" });
  const mapChart = make("div", { class: "explorer-map" });
  const slider = make("input", { type: "range", min: 0, step: 1, id: "explore-at", oninput: () => go(Number(slider.value)) });
  const changed = () => { list(); draw(); audioChoice.hidden = !between() && !state.others; };
  const turn = (t, at = 0) => {
    state.t = t;
    state.at = -1;
    slider.max = String(data.transformations[t].x.length - 1);
    go(at);
    changed();
  };
  const audioChoice = choice("audio distance", data.audio, 0, (value) => { state.audio = value; changed(); });
  const boxes = data.systems.map((one, s) => make("label", { class: "box" }, make("input", { type: "checkbox", checked: state.chosen.has(s), onchange: (event) => { if (event.target.checked) state.chosen.add(s); else state.chosen.delete(s); changed(); } }), swatch(s), one.label));
  const others = make("label", { class: "box" }, make("input", { type: "checkbox", checked: true, onchange: (event) => { state.others = event.target.checked; changed(); } }), "references and the audio space as thin lines");
  host.replaceChildren(
    make("fieldset", {}, make("legend", {}, "Encoders, with bands"), ...boxes, others),
    make("div", { class: "choices" },
      choice("transformation", data.transformations.map((t) => t.title), state.t, turn),
      choice("measure", data.measures, 0, (value) => { state.measure = value; changed(); }),
      choice("distance", data.latent, state.latent, (value) => { state.latent = value; changed(); }),
      audioChoice,
      make("label", { class: "at" }, "magnitude ", slider)),
    chart, make("div", { class: "beside" }, make("div", { class: "wide" }, values), panel));
  turn(state.t, opening ? opening[2] - data.transformations[state.t].first : 0);
  if (data.map.rows) {
    const mapped = data.systems.flatMap((one, s) => (data.map.rows[s].length ? [s] : []));
    if (mapped.length) {
      host.append(make("h3", {}, "Where the embeddings lie"), make("p", {}, choice("encoder", mapped.map(nameOf), 0, (value) => drawMap(mapped[value]))), mapChart, make("p", { class: "quiet" }, data.map.about));
      drawMap(mapped[0]);
    }
  }
  let waiting = 0;
  let room = host.clientWidth;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { if (room !== host.clientWidth) { room = host.clientWidth; draw(); } }, 250);
  });
  dark.addEventListener("change", changed);
})();
