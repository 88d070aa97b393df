(() => {
  "use strict";
  const INK = "#222222";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const palette = JSON.parse(document.getElementById("dark-palette").textContent);
  // What is large stands in the page as base64 of gzip.
  const unpacked = async (id) => {
    const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  let vega;
  const embed = async (...given) => {
    vega = vega || unpacked("vega").then((text) => {
      const script = document.createElement("script");
      script.textContent = "(() => {" + text + "\n})()";
      document.head.append(script);
    });
    await vega;
    return window.vegaEmbed(...given);
  };
  const specs = new Map();
  const read = async (node) => {
    const id = node.dataset.spec;
    if (!specs.has(id)) specs.set(id, unpacked(id));
    return JSON.parse(await specs.get(id));
  };
  // On the page ink takes the colour of the text, and marks that of the theme; downloads keep the file's own.
  const inked = (value) => {
    if (value === INK) return "currentColor";
    if (dark.matches && typeof value === "string" && Object.hasOwn(palette, value)) return palette[value];
    if (Array.isArray(value)) return value.map(inked);
    if (value && typeof value === "object") {
      const copy = {};
      for (const [key, inner] of Object.entries(value)) copy[key] = key === "data" ? inner : inked(inner);
      return copy;
    }
    return value;
  };
  // Rows of panels fold into as many columns as fit; a panel wider than the page is narrowed.
  const fold = (spec, room, margin) => {
    const width = (view) => view.width || (view.layer && view.layer[0].width) || 0;
    for (const child of spec.concat || spec.vconcat || []) fold(child, room, margin);
    if (spec.concat && spec.columns) {
      const widest = Math.max(...spec.concat.map(width)) + margin;
      spec.columns = Math.max(1, Math.min(spec.columns, Math.floor(room / widest)));
    }
    if (typeof spec.width === "number" && spec.width + margin > room) spec.width = Math.max(120, room - margin);
    return spec;
  };
  const room = (node) => node.closest("main").clientWidth;
  const margin = (spec) => (spec.usermeta && spec.usermeta.nearkin && spec.usermeta.nearkin.margin) || 40;
  // The drawing that stands in the page for readers without scripts.
  const stills = new Map([...document.querySelectorAll(".chart noscript")].map((kept) => [kept.parentElement, kept.textContent]));
  const still = (node) => { node.innerHTML = stills.get(node) || "This figure could not be drawn."; };
  const draw = async (node) => {
    try {
      const available = room(node);
      // What a panel needs beside its plot is known roughly: where it turns out wider, panels are narrowed.
      for (let more = 0, tries = 0; tries < 4; tries++) {
        const spec = await read(node);
        fold(spec, available, margin(spec) + more);
        const screen = inked(spec);
        screen.config.background = "transparent";
        screen.config.title = { ...screen.config.title, limit: available - 12 };
        const legend = screen.config.legend;
        if (legend) {
          legend.columns = Math.max(1, Math.min(8, Math.floor(available / 125) - tries));
          if (available < 600) legend.layout = { top: { direction: "vertical", anchor: "start" } };
        }
        await embed(node, screen, { actions: false, renderer: "svg", tooltip: { theme: dark.matches ? "dark" : "light" } });
        const over = node.scrollWidth - node.clientWidth;
        if (over < 1) break;
        more += over;
      }
      node.dataset.drawn = String(available);
    } catch (error) {
      still(node);
      node.dataset.failed = "1";
      console.error(error);
    }
  };
  const save = async (node, kind) => {
    const hidden = document.createElement("div");
    const result = await embed(hidden, await read(node), { actions: false, renderer: "svg" });
    const link = document.createElement("a");
    link.download = node.dataset.spec.replace(/-spec$/, "") + "." + kind;
    if (kind === "svg") link.href = URL.createObjectURL(new Blob([await result.view.toSVG()], { type: "image/svg+xml" }));
    else link.href = await result.view.toImageURL("png", 2);
    link.click();
    result.finalize();
  };
  const charts = [...document.querySelectorAll(".chart")];
  for (const node of charts)
    for (const button of node.parentElement.querySelectorAll("button[data-save]"))
      button.addEventListener("click", () => save(node, button.dataset.save));
  // A chart is drawn when it comes near the window; before printing those that are not yet stand still.
  const drawing = new Map();
  const drawOnce = (node) => {
    if (!drawing.has(node)) drawing.set(node, draw(node));
    return drawing.get(node);
  };
  const watch = new IntersectionObserver((seen) => {
    for (const one of seen) if (one.isIntersecting) { watch.unobserve(one.target); drawOnce(one.target); }
  }, { rootMargin: "400px" });
  for (const node of charts) watch.observe(node);
  addEventListener("beforeprint", () => { for (const node of charts) if (!drawing.has(node)) still(node); });
  const redraw = () => { for (const node of drawing.keys()) draw(node); };
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { for (const node of drawing.keys()) if (node.dataset.drawn !== String(room(node))) draw(node); }, 250);
  });
  dark.addEventListener("change", redraw);
  const drawAll = async () => { await Promise.all(charts.map(drawOnce)); document.documentElement.dataset.figures = "drawn"; };
  window.nearkin = { unpacked, embed, dark, drawAll };
  // A table's columns sort by their cells' keys; the first column by its text.
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const key = (row, at) => {
      const cell = row.cells[at];
      if (cell.dataset.key === undefined) return cell.textContent;
      const number = Number(cell.dataset.key.replace("inf", "Infinity"));
      return Number.isNaN(number) ? -Infinity : number;
    };
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].sort((a, b) => {
          const [x, y] = [key(a, at), key(b, at)];
          return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
        });
        body.append(...rows);
      });
    });
  }
})();
