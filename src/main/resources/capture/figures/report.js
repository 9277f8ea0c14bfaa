"use strict";
(() => {
  const $ = id => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const data = JSON.parse($("data").textContent);
  const MOST_RUNS = 4; // that are shown at once
  const state = { run: 0, others: [], layer: 0, head: 0, slot: 0, block: 0, key: 0, quantity: 0, measure: 0, rule: -1,
    scale: 0, gallery: 1, alone: 0, film: 0, show: 0, point: 0, word: 0,
    filter: "", sort: "", down: true, theme: matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light" };

  // ---- data

  const HALF = (() => {
    const table = new Float32Array(65536);
    for (let i = 0; i < 65536; i++) {
      const sign = i & 0x8000 ? -1 : 1, exponent = i >> 10 & 31, fraction = i & 1023;
      table[i] = sign * (exponent === 0 ? fraction * 2 ** -24
        : exponent === 31 ? (fraction ? NaN : Infinity) : (1 + fraction / 1024) * 2 ** (exponent - 15));
    }
    return table;
  })();

  function decoded(base64) {
    const text = atob(base64);
    const out = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }

  function bytes(id) {
    const out = decoded($(id).textContent.trim());
    $(id).remove();
    return out;
  }

  class Run {
    constructor(info, index) {
      Object.assign(this, info);
      const buffer = bytes("run" + index).buffer;
      const heads = this.layers.length * this.heads.length;
      const perSlot = this.blocks.length * data.measures.length * heads;
      this.measureValues = new Float32Array(buffer, info.at.measures, this.slots.length * perSlot);
      this.roleValues = new Uint8Array(buffer, info.at.roles, this.slots.length * this.blocks.length * data.rules.length * heads);
      this.cellsPerHead = 0;
      for (const pass of [...this.passes, ...this.bands]) {
        pass.keys = pass.keys.flatMap((first, i, runs) => i % 2 ? [] : Array.from({ length: runs[i + 1] }, (_, j) => first + j));
      }
      for (const band of this.bands) {
        band.at = this.cellsPerHead;
        this.cellsPerHead += band.frames * band.keys.length;
      }
      this.allFrames = this.frames;
      this.frames = Math.ceil(this.frames / this.framePool); // rows and columns of the matrices
      this.halves = {};
      for (const quantity of this.quantities) {
        this.halves[quantity] = new Uint16Array(buffer, info.at[quantity], heads * this.cellsPerHead);
      }
      for (const token of this.tokens) {
        token.limits = new Float32Array(buffer, token.limitsAt, heads * 2);
        const frames = this.passes[token.pass].keys.length;
        token.values = new Uint8Array(buffer, token.at, heads * frames * this.tokenRows * this.tokenCols);
      }
    }

    position(layer, head) {
      const l = this.layers.indexOf(layer), h = this.heads.indexOf(head);
      return l < 0 || h < 0 ? -1 : l * this.heads.length + h;
    }

    bandsIn(slot) {
      return this.bands.filter(band => band.slot === slot || band.slot < 0);
    }

    /** The frames of a row or column, in words. */
    frameName(i) {
      const first = i * this.framePool, last = Math.min(this.allFrames, first + this.framePool) - 1;
      return last > first ? `frames ${first} to ${last}` : `frame ${first}`;
    }

    /** Which query frames the row of a frame block shows; rows of averaged matrices hold more frames than the block has. */
    attending(block) {
      const pool = this.framePool, first = Math.floor(block.first / pool) * pool;
      const end = Math.min(this.allFrames, Math.ceil((block.first + block.frames) / pool) * pool);
      if (end - first > block.frames) return `Mean attention of frames ${first} to ${end - 1}`;
      return block.frames > 1 ? `Attention of frames ${first} to ${end - 1}` : `Attention of frame ${first}`;
    }

    /** [T, T], NaN where nothing was attended or captured, Infinity where the run computed no finite number. */
    matrix(quantity, layer, head, slot) {
      const out = new Float32Array(this.frames * this.frames).fill(NaN);
      const at = this.position(layer, head), halves = this.halves[quantity];
      if (at < 0 || !halves) return out;
      for (const pass of this.bandsIn(slot)) {
        const keys = pass.keys.length;
        for (let q = 0; q < pass.frames; q++) {
          for (let k = 0; k < keys; k++) {
            out[(pass.first + q) * this.frames + pass.keys[k]] = HALF[halves[at * this.cellsPerHead + pass.at + q * keys + k]];
          }
        }
      }
      return out;
    }

    /** Mean over a frame block's queries, by key frame. */
    row(quantity, layer, head, slot, block) {
      const matrix = this.matrix(quantity, layer, head, slot), its = this.blocks[block];
      const from = Math.floor(its.first / this.framePool), to = Math.ceil((its.first + its.frames) / this.framePool);
      return Array.from({ length: this.frames }, (_, k) => {
        let sum = 0;
        for (let q = from; q < to; q++) sum += matrix[q * this.frames + k];
        return sum / (to - from);
      });
    }

    measure(measure, slot, block) {
      const heads = this.layers.length * this.heads.length;
      const at = ((slot * this.blocks.length + block) * data.measures.length + measure) * heads;
      return this.measureValues.subarray(at, at + heads);
    }

    roles(rule, slot, block) {
      const heads = this.layers.length * this.heads.length;
      const at = ((slot * this.blocks.length + block) * data.rules.length + rule) * heads;
      return Array.from(this.roleValues.subarray(at, at + heads), i => data.rules[rule].names[i] ?? "");
    }

    /** The captured token map nearest to what is asked for, or nothing. */
    token(slot, block) {
      return this.tokens.find(t => this.isOf(t, slot, block))
        ?? this.tokens.find(t => this.passes[t.pass].first === this.blocks[block].first) ?? this.tokens[0];
    }

    /** Whether a token map is that of this pass of this frame block. */
    isOf(token, slot, block) {
      const pass = this.passes[token.pass];
      return pass.first === this.blocks[block].first && (pass.slot === slot || pass.slot < 0);
    }
  }

  // ---- words

  const number = value => !Number.isFinite(value) ? "–"
    : Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1)
      : Math.abs(value) >= 0.0005 || value === 0 ? value.toFixed(3) : value.toExponential(1);
  const words = value => Number.isFinite(value) ? number(value) : "not finite";
  const label = (layer, head) => `L${layer + 1}H${head + 1}`;
  const quantityTitle = quantity => quantity === "frame_mass" ? "frame mass" : "frame logit";
  const say = text => { $("live").textContent = text; };
  const fileName = (...parts) => parts.join("-").toLowerCase().replace(/[^\p{L}\p{N}.]+/gu, "-").replace(/^-+|-+$/g, "");
  const csvCell = value => {
    const text = typeof value === "number" && Number.isNaN(value) ? "" : String(value);
    return /^[\w .:+-]*$/.test(text) ? text : `"${text.replaceAll("\"", "\"\"")}"`;
  };

  // ---- colours: matplotlib's RdBu_r

  const ANCHORS = [[5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
    [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31]];
  const NOT_FINITE = "#00a000"; // no colour of the scale
  const ROLE_COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
  const SERIES = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d00", "#7b52ab"];
  const THEMES = {
    light: { paper: "#ffffff", ink: "#1f2933", muted: "#52606d", rule: "#9aa5b1", grid: "#e4e7eb", hatch: "#b8c2cc", mark: "#c05621" },
    dark: { paper: "#14181d", ink: "#e6eaee", muted: "#a3b0bd", rule: "#66727f", grid: "#2c3540", hatch: "#6b7988", mark: "#f6ad55" },
  };

  const SCALES = ["automatic", "all values", "98 % of the values", "logarithmic"];
  const LOG_RANGE = 1e-4; // below this share of the largest value a logarithmic scale ends

  /**
   * What colours stand for: two-sided around 0 for signed values, else from the least to the largest. Automatic: signed values all, others
   * without their largest 2 %, so that a few large ones do not leave all others pale.
   */
  function scaleOf(signed, ...lists) {
    const values = [];
    for (const list of lists) for (const value of list) if (Number.isFinite(value)) values.push(value);
    const kind = state.scale;
    let least = Infinity, most = -Infinity;
    for (const value of values) { least = Math.min(least, value); most = Math.max(most, value); }
    const part = share => {
      const step = Math.ceil(values.length / 200000); // enough to tell, and quick
      const sorted = Float64Array.from({ length: Math.ceil(values.length / step) }, (_, i) => signed ? Math.abs(values[i * step]) : values[i * step]).sort();
      return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
    };
    if (signed) {
      const limit = (kind === 2 ? part(0.98) : Math.max(0, -least, most)) || 1;
      return { low: -limit, high: limit, signed, at: v => (v / limit + 1) / 2, clipped: kind === 2 };
    }
    let low = least, high = kind === 0 || kind === 2 ? part(0.98) : Math.max(0, most);
    if (!(low < high)) [low, high] = [Math.min(0, Number.isFinite(low) ? low : 0), Math.max(high, 0) || 1];
    if (kind === 3 && high > 0) {
      const from = Math.log10(Math.max(low, high * LOG_RANGE)), to = Math.log10(high);
      return { low: 10 ** from, high, signed, log: true, clipped: low < 10 ** from,
        at: v => 0.5 + 0.5 * (to > from ? (Math.log10(Math.max(v, 10 ** from)) - from) / (to - from) : 1) };
    }
    return { low, high, signed, at: v => 0.5 + 0.5 * (v - low) / (high - low), clipped: kind === 0 || kind === 2 };
  }

  /** Values of a matrix that say something: the weight of a query that has one key is 1 whatever the head does. */
  function telling(matrix, frames, signed) {
    if (signed) return matrix;
    const out = [];
    for (let q = 0; q < frames; q++) {
      const row = matrix.slice(q * frames, (q + 1) * frames).filter(v => !Number.isNaN(v));
      if (row.length > 1) out.push(...row);
    }
    return out.length ? out : matrix;
  }

  function rgb(value, scale) {
    const at = Math.max(0, Math.min(1, scale.at(value))) * 10;
    const below = Math.min(9, Math.floor(at)), share = at - below;
    return ANCHORS[below].map((a, i) => Math.round(a + share * (ANCHORS[below + 1][i] - a)));
  }

  const colour = (value, scale) => `rgb(${rgb(value, scale).join(",")})`;

  // ---- drawing

  let patterns = 0;

  function element(parent, name, attributes, text) {
    const node = document.createElementNS(SVG, name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  }

  function canvas(width, height, title, theme) {
    const svg = document.createElementNS(SVG, "svg");
    const attributes = { viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
      "font-family": "Arial, 'DejaVu Sans', Helvetica, sans-serif", "font-size": 11 };
    for (const key in attributes) svg.setAttribute(key, attributes[key]);
    element(svg, "title", {}, title);
    const id = "masked" + patterns++;
    const pattern = element(element(svg, "defs", {}), "pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse" });
    element(pattern, "path", { d: "M-1 1l2-2M0 6l6-6M5 7l2-2", stroke: theme.hatch, "stroke-width": 0.8 });
    return { svg, hatch: `url(#${id})`, theme };
  }

  const text = (c, x, y, words, anchor = "start", more = {}) =>
    element(c.svg, "text", { x, y, "text-anchor": anchor, fill: c.theme.ink, ...more }, words);

  function frameTicks(count, length) {
    const room = String(count - 1).length * 7 + 6;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find(s => length / count * s >= room) ?? 1000;
    const ticks = [];
    for (let i = 0; i < count; i += step) ticks.push(i);
    return ticks;
  }

  function roundTicks(low, high, most) {
    const raw = (high - low) / most, base = 10 ** Math.floor(Math.log10(raw));
    const step = base * [1, 2, 5, 10].find(f => base * f >= raw);
    const ticks = [];
    for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) ticks.push(i * step);
    return ticks.map(t => [t, String(Number(t.toPrecision(6))).replace("-", "−")]);
  }

  function colourBar(c, x, y, height, scale, title) {
    const steps = 60, { low, high, signed } = scale;
    const of = share => scale.log ? low * (high / low) ** share : low + (high - low) * share;
    for (let i = 0; i < steps; i++) {
      element(c.svg, "rect", { x, y: y + height * (1 - (i + 1) / steps), width: 10, height: height / steps + 0.4,
        fill: colour(of((i + 0.5) / steps), scale) });
    }
    element(c.svg, "rect", { x, y, width: 10, height, fill: "none", stroke: c.theme.rule, "stroke-width": 0.6 });
    for (const share of [0, 0.5, 1]) {
      const value = of(share), beyond = scale.clipped && (share === 1 ? "≥ " : share === 0 && (signed || scale.log) ? "≤ " : "");
      text(c, x + 14, y + height * (1 - share) + 4, (beyond || "") + (value === 0 ? "0" : number(value).replace("-", "−")), "start", { "font-size": 10 });
    }
    const tx = x + 60, ty = y + height / 2;
    text(c, tx, ty, title, "middle", { "font-size": 10, fill: c.theme.muted, transform: `rotate(-90 ${tx} ${ty})` });
  }

  /** Cells of a matrix, first row at the bottom unless it is an image; NaN is hatched. Returns where a point lies. */
  function cells(c, x, y, width, height, rows, columns, value, scale, image) {
    element(c.svg, "rect", { x, y, width, height, fill: c.hatch });
    const group = element(c.svg, "g", { "shape-rendering": "crispEdges" });
    const w = width / columns, h = height / rows, paths = new Map(); // one path for each colour: a page of a long run stays quick
    for (let r = 0; r < rows; r++) {
      const top = y + (image ? r : rows - 1 - r) * h;
      for (let k = 0; k < columns; k++) {
        const v = value(r, k);
        if (!Number.isNaN(v)) {
          const fill = Number.isFinite(v) ? colour(v, scale) : NOT_FINITE, wide = +(w + (k < columns - 1 ? 0.3 : 0)).toFixed(2);
          if (!paths.has(fill)) paths.set(fill, []);
          paths.get(fill).push(`M${+(x + k * w).toFixed(2)} ${+top.toFixed(2)}h${wide}v${+h.toFixed(2)}h-${wide}z`);
        }
      }
    }
    for (const [fill, parts] of paths) element(group, "path", { d: parts.join(""), fill });
    element(c.svg, "rect", { x, y, width, height, fill: "none", stroke: c.theme.rule, "stroke-width": 0.6 });
    const cell = (r, k) => ({ x: x + k * w, y: y + (image ? r : rows - 1 - r) * h, width: w, height: h });
    const at = (px, py) => {
      const k = Math.floor((px - x) / w), r = Math.floor((py - y) / h);
      return k < 0 || k >= columns || r < 0 || r >= rows ? null : [image ? r : rows - 1 - r, k];
    };
    return { cell, at, rows, columns };
  }

  function axes(c, x, y, width, height, frames) {
    for (const tick of frameTicks(frames, width)) {
      text(c, x + (tick + 0.5) * width / frames, y + height + 14, tick, "middle", { "font-size": 10 });
    }
    text(c, x + width / 2, y + height + 29, "key frame", "middle", { fill: c.theme.muted });
  }

  function heatMap(theme, run, matrix, scale, title, bar) {
    const side = 270, left = 44, top = 8;
    const c = canvas(left + side + 72, top + side + 36, title, theme);
    const grid = cells(c, left, top, side, side, run.frames, run.frames, (q, k) => matrix[q * run.frames + k], scale);
    axes(c, left, top, side, side, run.allFrames);
    for (const tick of frameTicks(run.allFrames, side)) {
      text(c, left - 5, top + side - (tick + 0.5) * side / run.allFrames + 4, tick, "end", { "font-size": 10 });
    }
    text(c, 11, top + side / 2, "query frame", "middle", { fill: theme.muted, transform: `rotate(-90 11 ${top + side / 2})` });
    for (const block of run.blocks.slice(1)) { // frame blocks, in the margin
      const at = top + side - block.first * side / run.allFrames;
      element(c.svg, "path", { d: `M${left - 3} ${at}h3`, stroke: theme.rule });
    }
    colourBar(c, left + side + 8, top, Math.min(side, 180), scale, bar);
    return { svg: c.svg, grid };
  }

  function diagram(theme, frames, allFrames, series, title, yTitle, asBars) {
    const width = 400, left = 48, top = 8, height = 200;
    const legend = series.length > 1 ? 16 * Math.ceil(series.length / 4) : 0;
    const c = canvas(width, top + height + 36 + legend, title, theme);
    const inner = width - left - 8;
    let low = 0, high = 0;
    for (const s of series) for (const v of s.values) if (Number.isFinite(v)) { low = Math.min(low, v); high = Math.max(high, v); }
    const margin = (high - low || 1) * 0.05;
    if (low < 0) low -= margin;
    if (high > 0 || low === 0) high += margin;
    const yOf = v => top + height * (1 - (v - low) / (high - low)), step = inner / frames;
    for (const [tick, words] of roundTicks(low, high, 6)) {
      element(c.svg, "path", { d: `M${left} ${yOf(tick)}h${inner}`, stroke: theme.grid });
      text(c, left - 5, yOf(tick) + 4, words, "end", { "font-size": 10 });
    }
    for (let k = 0; k < frames; k++) {
      if (series.every(s => !Number.isFinite(s.values[k]))) {
        element(c.svg, "rect", { x: left + k * step, y: top, width: step, height, fill: c.hatch });
      }
    }
    series.forEach((s, i) => {
      const tint = SERIES[i % SERIES.length];
      let path = "", open = false;
      s.values.forEach((v, k) => {
        const x = left + (k + 0.5) * step;
        if (!Number.isFinite(v)) { open = false; return; }
        if (asBars) {
          const w = 0.8 * step / series.length;
          element(c.svg, "rect", { x: left + (k + 0.1) * step + i * w, y: Math.min(yOf(v), yOf(0)), width: w,
            height: Math.abs(yOf(v) - yOf(0)), fill: tint });
        } else {
          path += `${open ? "L" : "M"}${x.toFixed(1)} ${yOf(v).toFixed(1)}`;
          open = true;
          element(c.svg, "circle", { cx: x, cy: yOf(v), r: 2, fill: tint });
        }
      });
      if (path) element(c.svg, "path", { d: path, fill: "none", stroke: tint, "stroke-width": 1.4 });
      if (series.length > 1) {
        const lx = left + (i % 4) * (inner / 4), ly = top + height + 44 + 16 * Math.floor(i / 4);
        element(c.svg, "rect", { x: lx, y: ly - 8, width: 10, height: 8, fill: tint });
        text(c, lx + 14, ly, s.name.length > 13 ? s.name.slice(0, 12) + "…" : s.name, "start", { "font-size": 10 });
      }
    });
    element(c.svg, "path", { d: `M${left} ${yOf(0)}h${inner}`, stroke: theme.rule, "stroke-width": 0.8 });
    element(c.svg, "rect", { x: left, y: top, width: inner, height, fill: "none", stroke: theme.rule, "stroke-width": 0.6 });
    axes(c, left, top, inner, height, allFrames);
    text(c, 11, top + height / 2, yTitle, "middle", { fill: theme.muted, transform: `rotate(-90 11 ${top + height / 2})` });
    return { svg: c.svg, grid: { at: px => {
      const k = Math.floor((px - left) / step);
      return k < 0 || k >= frames ? null : [0, k];
    }, cell: (r, k) => ({ x: left + k * step, y: top, width: step, height }), rows: 1, columns: frames } };
  }

  /** Layers by heads, first layer at the bottom; roles where a rule is chosen. */
  function overview(theme, run, values, scale, title, roles, kept) {
    const layers = run.layers.length, heads = run.heads.length, left = 44, top = 8, width = 288;
    const height = Math.max(90, Math.min(430, layers * Math.min(22, Math.max(11, width / heads))));
    const c = canvas(left + width + 72, top + height + 36, title, theme);
    const grid = cells(c, left, top, width, height, layers, heads, (l, h) => values[l * heads + h], scale);
    for (const tick of frameTicks(heads, width)) {
      text(c, left + (tick + 0.5) * width / heads, top + height + 14, run.heads[tick], "middle", { "font-size": 10 });
    }
    for (const tick of frameTicks(layers, height)) {
      text(c, left - 5, top + height - (tick + 0.5) * height / layers + 4, run.layers[tick], "end", { "font-size": 10 });
    }
    text(c, left + width / 2, top + height + 29, "head (from 0)", "middle", { fill: theme.muted });
    text(c, 11, top + height / 2, "layer (from 0)", "middle", { fill: theme.muted, transform: `rotate(-90 11 ${top + height / 2})` });
    if (roles) {
      const names = data.rules[state.rule].names;
      roles.forEach((role, i) => {
        const box = grid.cell(Math.floor(i / heads), i % heads), r = Math.min(box.width, box.height) / 4.5;
        if (role) {
          element(c.svg, "circle", { cx: box.x + box.width / 2, cy: box.y + box.height / 2, r,
            fill: ROLE_COLOURS[names.indexOf(role)], stroke: "#ffffff", "stroke-width": 0.8 });
        }
      });
      names.forEach((name, i) => {
        const y = top + height - 14 * (names.length - i) + 10;
        element(c.svg, "circle", { cx: left + width + 13, cy: y - 4, r: 4, fill: ROLE_COLOURS[i] });
        text(c, left + width + 20, y, name, "start", { "font-size": 9 });
      });
    }
    const barHeight = Math.max(40, Math.min(180, height - (roles ? 60 : 0)));
    colourBar(c, left + width + 8, top, barHeight, scale, title);
    for (let i = 0; kept && i < layers * heads; i++) {
      if (!kept[i]) element(c.svg, "rect", { ...grid.cell(Math.floor(i / heads), i % heads), fill: theme.paper, "fill-opacity": 0.85, "data-left-out": "" });
    }
    const l = run.layers.indexOf(state.layer), h = run.heads.indexOf(state.head);
    if (l >= 0 && h >= 0) {
      element(c.svg, "rect", { ...grid.cell(l, h), fill: "none", stroke: "#ffffff", "stroke-width": 5 }); // seen on any colour
      element(c.svg, "rect", { ...grid.cell(l, h), fill: "none", stroke: "#000000", "stroke-width": 2, "data-chosen": "" });
    }
    return { svg: c.svg, grid };
  }

  // ---- figures with their buttons and values

  function save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  const svgBlob = draw => {
    const svg = draw(THEMES.light).svg;
    const box = svg.viewBox.baseVal;
    const back = document.createElementNS(SVG, "rect");
    for (const [key, value] of Object.entries({ width: box.width, height: box.height, fill: "#ffffff" })) back.setAttribute(key, value);
    svg.insertBefore(back, svg.children[2]);
    return [new Blob([new XMLSerializer().serializeToString(svg)], { type: "image/svg+xml" }), box];
  };

  async function savePng(name, draw) {
    const [blob, box] = svgBlob(draw);
    const url = URL.createObjectURL(blob), image = new Image();
    image.src = url;
    await image.decode();
    const paper = document.createElement("canvas"), scale = 3;
    paper.width = box.width * scale;
    paper.height = box.height * scale;
    paper.getContext("2d").drawImage(image, 0, 0, paper.width, paper.height);
    URL.revokeObjectURL(url);
    paper.toBlob(png => save(name, png), "image/png");
  }

  /**
   * A figure on the page.
   * draw(theme): {svg, grid}; told(r, k): words for a cell; rows(): [header, ...rows] for CSV; pick(r, k): on a click.
   */
  function figure(parent, title, file, draw, told, rows, pick, picture) {
    const box = document.createElement("figure"), caption = document.createElement("figcaption"), b = document.createElement("b");
    b.textContent = title;
    caption.append(b);
    const button = (words, act) => {
      const it = document.createElement("button");
      it.type = "button";
      it.textContent = words;
      it.setAttribute("aria-label", `${words} of ${title}`);
      it.addEventListener("click", act);
      caption.append(it);
    };
    button("SVG", () => save(file + ".svg", svgBlob(draw)[0]));
    button("PNG", () => savePng(file + ".png", draw));
    button("CSV", () => save(file + ".csv",
      new Blob([rows().map(row => row.map(csvCell).join(",")).join("\n") + "\n"], { type: "text/csv" })));
    const { svg, grid } = draw(THEMES[state.theme]);
    svg.classList.add(pick ? "pick" : "cells");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-label", title);
    const mark = element(svg, "rect", { fill: "none", stroke: THEMES[state.theme].mark, "stroke-width": 1.5, visibility: "hidden" });
    let cursor = null;
    const show = (cell, x, y, by = "pointer") => {
      cursor = cell;
      $("tip").dataset.by = by;
      $("tip").hidden = !cell;
      mark.setAttribute("visibility", cell ? "visible" : "hidden");
      if (!cell) return;
      const place = grid.cell(...cell);
      for (const key in place) mark.setAttribute(key, place[key]);
      $("tip").textContent = told(...cell);
      const its = picture?.(...cell);
      if (its) $("tip").append(its);
      const tip = $("tip").getBoundingClientRect();
      $("tip").style.left = Math.max(4, Math.min(innerWidth - tip.width - 4, x + 14)) + "px";
      $("tip").style.top = Math.max(4, y - tip.height - 10) + "px";
    };
    const cellAt = event => {
      const area = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
      return grid.at((event.clientX - area.left) * view.width / area.width, (event.clientY - area.top) * view.height / area.height);
    };
    svg.addEventListener("pointermove", event => show(cellAt(event), event.clientX, event.clientY));
    svg.addEventListener("pointerdown", event => show(cellAt(event), event.clientX, event.clientY));
    svg.addEventListener("pointerleave", () => { if ($("tip").dataset.by === "pointer") show(null); });
    svg.addEventListener("blur", () => show(null));
    if (pick) svg.addEventListener("click", event => { const cell = cellAt(event); if (cell) pick(...cell); });
    svg.addEventListener("keydown", event => {
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
      if (!move || pick) return;
      event.preventDefault();
      const [r, k] = cursor ?? [0, -1];
      const next = [Math.max(0, Math.min(grid.rows - 1, r + move[0])), Math.max(0, Math.min(grid.columns - 1, k + move[1]))];
      const area = svg.getBoundingClientRect(), view = svg.viewBox.baseVal, place = grid.cell(...next);
      show(next, area.left + place.x * area.width / view.width, area.top + place.y * area.height / view.height, "keys");
      say($("tip").textContent);
    });
    box.append(caption, svg);
    parent.append(box);
    return svg;
  }

  // ---- the page

  let runs = [];
  const run = () => runs[state.run];
  const others = () => state.others.map(i => runs[i]);
  const quantity = () => run().quantities[state.quantity];
  const clampTo = (value, count) => Math.max(0, Math.min(count - 1, value));
  const slotOf = its => Math.max(0, its.slots.indexOf(run().slots[state.slot]));
  const blockOf = its => clampTo(state.block, its.blocks.length);

  function options(select, names, chosen) {
    select.replaceChildren(...names.map(([value, words]) => {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = words;
      option.selected = value === chosen;
      return option;
    }));
  }

  function controls() {
    const its = run();
    state.slot = clampTo(state.slot, its.slots.length);
    state.block = clampTo(state.block, its.blocks.length);
    state.quantity = clampTo(state.quantity, its.quantities.length);
    if (!its.layers.includes(state.layer)) state.layer = its.layers[0];
    if (!its.heads.includes(state.head)) state.head = its.heads[0];
    options($("run"), runs.map((r, i) => [i, r.name]), state.run);
    controlOthers();
    options($("scale"), SCALES.map((name, i) => [i, name]), state.scale);
    options($("gallery"), GALLERIES.map((name, i) => [i, name]), state.gallery);
    $("alone").checked = Boolean(state.alone);
    if ($("filter").value !== state.filter) $("filter").value = state.filter;
    options($("quantity"), its.quantities.map((q, i) => [i, quantityTitle(q)]), state.quantity);
    options($("measure"), data.measures.map((m, i) => [i, m.title]).filter(([i]) => its.has.includes(i)), state.measure);
    options($("rule"), [[-1, "none"], ...data.rules.map((r, i) => [i, r.id]).filter(([i]) => its.hasRules.includes(i))], state.rule);
    const range = (id, count, at, words) => {
      $(id).max = count - 1;
      $(id).value = at;
      $(id).disabled = count < 2;
      $(id).setAttribute("aria-valuetext", words);
      $(id + "-name").textContent = words;
    };
    const block = its.blocks[state.block];
    range("slot", its.slots.length, state.slot, its.slots[state.slot]);
    range("block", its.blocks.length, state.block,
      `${its.blocks.length < its.allBlocks ? "" : state.block + " "}(${block.frames > 1 ? `frames ${block.first}–${block.first + block.frames - 1}` : `frame ${block.first}`})`);
    range("layer", its.layers.length, its.layers.indexOf(state.layer), String(state.layer));
    range("head", its.heads.length, its.heads.indexOf(state.head), String(state.head));
  }

  /** One list of runs to compare with, and another one beside it once something is chosen. */
  function controlOthers() {
    const most = Math.min(MOST_RUNS, runs.length) - 1, shown = Math.min(most, state.others.length + 1);
    $("others").hidden = runs.length < 2;
    $("others").replaceChildren(...Array.from({ length: Math.max(0, shown) }, (_, place) => {
      const label = document.createElement("label"), select = document.createElement("select");
      select.id = place ? "other" + (place + 1) : "other";
      const free = i => i !== state.run && (!state.others.includes(i) || state.others[place] === i);
      options(select, [[-1, "nothing"], ...runs.map((r, i) => [i, r.name]).filter(([i]) => free(i))], state.others[place] ?? -1);
      select.addEventListener("change", () => {
        const chosen = Number(select.value);
        state.others = state.others.toSpliced(place, 1, ...chosen < 0 ? [] : [chosen]);
        draw();
        $(select.id)?.focus();
      });
      label.append(place ? "and " : "Compare with ", select);
      return label;
    }));
  }

  function choose(layer, head) {
    state.layer = layer;
    state.head = head;
    draw();
    const at = run().position(layer, head);
    const value = run().measure(state.measure, state.slot, state.block)[at];
    say(`Layer ${layer}, head ${head}, ${label(layer, head)}: ${data.measures[state.measure].title} ${number(value)}`);
  }

  const differenceTitle = (names, i) => names.length > 1 ? `difference to ${names[i]}` : "difference";

  function drawOverview() {
    const measure = data.measures[state.measure], its = run();
    $("measure-help").textContent = `${measure.definition} Formula: ${measure.formula}.`;
    const of = r => r.measure(state.measure, slotOf(r), blockOf(r));
    const looks = [its, ...others()].map(r => [r, of(r), r.name]);
    const scale = scaleOf(measure.signed, ...looks.map(look => look[1]));
    const add = (r, list, name, its, roles, kept) => figure($("overview"), name, fileName("overview", measure.id, name),
      theme => overview(theme, r, list, its, measure.title, roles, kept),
      (l, h) => `layer ${r.layers[l]}, head ${r.heads[h]} (${label(r.layers[l], r.heads[h])})\n${measure.title} `
        + number(list[l * r.heads.length + h]) + (roles ? `\n${roles[l * r.heads.length + h]}` : ""),
      () => [["layer", "head", "label", measure.id], ...Array.from(list, (v, i) => {
        const l = r.layers[Math.floor(i / r.heads.length)], h = r.heads[i % r.heads.length];
        return [l, h, label(l, h), v];
      })],
      (l, h) => choose(r.layers[l], r.heads[h]));
    $("overview").replaceChildren();
    $("split").classList.toggle("wide", looks.length > 1);
    let first = null;
    for (const [r, list, name] of looks) {
      const roles = state.rule >= 0 && r.hasRules.includes(state.rule) ? r.roles(state.rule, slotOf(r), blockOf(r)) : null;
      const svg = add(r, list, name, scale, roles, r === its ? kept : null);
      first ??= svg;
    }
    const differences = looks.slice(1).map(([r, list]) => Float32Array.from(looks[0][1], (v, i) => {
      const at = r.position(its.layers[Math.floor(i / its.heads.length)], its.heads[i % its.heads.length]);
      return at < 0 ? NaN : v - list[at];
    }));
    const both = scaleOf(true, ...differences);
    differences.forEach((list, i) => add(its, list, differenceTitle(looks.slice(1).map(look => look[2]), i), both, null, kept));
    first.id = "overview-grid";
    first.addEventListener("keydown", event => {
      const l = its.layers.indexOf(state.layer), h = its.heads.indexOf(state.head);
      const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
      if (event.key === "Enter") $("head-title").focus();
      if (!move) return;
      event.preventDefault();
      choose(its.layers[clampTo(l + move[0], its.layers.length)], its.heads[clampTo(h + move[1], its.heads.length)]);
      $("overview-grid").focus();
    });
  }

  function drawHead() {
    const its = run(), { layer, head, slot, block } = state, what = quantity(), signed = what !== "frame_mass";
    const name = label(layer, head), file = fileName(its.name, `layer${layer}`, `head${head}`);
    $("head-title").textContent = `Layer ${layer}, head ${head} (${name})`;
    const at = its.position(layer, head);
    $("head-values").replaceChildren(...its.has.map(m => chip(data.measures[m].title, number(its.measure(m, slot, block)[at]))),
      ...its.hasRules.map(r => chip(data.rules[r].id, its.roles(r, slot, block)[at] || "–")));

    const comparable = others().filter(r => r.quantities.includes(what) && r.position(layer, head) >= 0 && r.framePool === its.framePool);
    const matrices = [its, ...comparable].map(r => [r, r.matrix(what, layer, head, slotOf(r)), r.name]);
    const both = comparable.length > 0;
    const scale = scaleOf(signed, ...matrices.map(([r, matrix]) => telling(matrix, r.frames, signed)));
    $("maps").replaceChildren();
    const shortened = [];
    if (its.framePool > 1) shortened.push(`To keep this file small, frame values are means over ${its.framePool} x ${its.framePool} frames.`);
    if (its.blocks.length < its.allBlocks) shortened.push(`Measures are available for ${its.blocks.length} of ${its.allBlocks} frame blocks.`);
    $("shortened").textContent = shortened.join(" ");
    $("shortened").hidden = !shortened.length;
    const addMap = (r, matrix, title, scale, bar) => figure($("maps"), title,
      fileName(file, r.slots[slotOf(r)], what, ...both ? [title] : []),
      theme => heatMap(theme, r, matrix, scale, `${name}: ${bar}, ${title}`, bar),
      (q, k) => `query ${r.frameName(q)}, key ${r.frameName(k)}\n` + (Number.isNaN(matrix[q * r.frames + k]) ? "masked" : `${bar} ${words(matrix[q * r.frames + k])}`),
      () => [["query_frame", "key_frame", bar], ...Array.from(matrix, (v, i) => [Math.floor(i / r.frames) * r.framePool, i % r.frames * r.framePool, v])
        .filter(row => !Number.isNaN(row[2]))],
      undefined,
      (q, k) => film && r === runs[0] && film.pictures[k * r.framePool] ? framePicture(k * r.framePool, keyMap(k * r.framePool)) : null);
    for (const [r, matrix, title] of matrices) {
      addMap(r, matrix, both ? title : `${quantityTitle(what)}, ${its.slots[slot]}`, scale, quantityTitle(what));
    }
    const differences = matrices.slice(1).map(([r, matrix]) => Float32Array.from(matrices[0][1], (v, i) => {
      const q = Math.floor(i / its.frames), k = i % its.frames;
      return q < r.frames && k < r.frames ? v - matrix[q * r.frames + k] : NaN;
    }));
    const apart = scaleOf(true, ...differences);
    differences.forEach((list, i) => addMap(its, list, differenceTitle(comparable.map(r => r.name), i), apart, "difference"));
    for (const r of others()) {
      if (!comparable.includes(r)) notice($("maps"), `${r.name} has no ${quantityTitle(what)} of this head, or averages a different number of frames.`);
    }

    $("rows").replaceChildren();
    const shown = its.blocks[block];
    const of = (r, s, b) => r.row(what, layer, head, s, b);
    const barSeries = [{ name: its.name, values: of(its, slot, block) }];
    for (const r of comparable) barSeries.push({ name: r.name, values: of(r, slotOf(r), blockOf(r)) });
    const addRow = (title, series, asBars, suffix) => figure($("rows"), title, fileName(file, what, suffix),
      theme => diagram(theme, its.frames, its.allFrames, series, `${name}: ${title}`, quantityTitle(what), asBars),
      (r, k) => `key ${its.frameName(k)}\n` + series.map(s => `${s.name} ${Number.isNaN(s.values[k]) ? "masked" : words(s.values[k])}`).join("\n"),
      () => [["key_frame", ...series.map(s => s.name)], ...Array.from({ length: its.frames }, (_, k) => [k * its.framePool, ...series.map(s => s.values[k])])]);
    addRow(its.attending(shown),
      barSeries, true, "bars");
    if (its.slots.length > 1) {
      addRow("The same row in every pass", its.slots.map((s, i) => ({ name: s, values: of(its, i, block) })), false, "passes");
    }
    drawTokens(its, file, name);
  }

  function drawTokens(its, file, name) {
    const token = its.tokens.length ? its.token(state.slot, state.block) : null;
    $("token-area").hidden = !token;
    if (!token) return;
    const pass = its.passes[token.pass], frames = pass.keys.length, rows = its.tokenRows, cols = its.tokenCols;
    state.key = clampTo(state.key, frames);
    $("key").max = frames - 1;
    $("key").value = state.key;
    $("key-name").textContent = pass.keys[state.key];
    $("key").setAttribute("aria-valuetext", `frame ${pass.keys[state.key]}`);
    $("token-note").textContent = (its.isOf(token, state.slot, state.block) ? "" : "This file has no token map of the chosen pass; this is the nearest one. ")
      + `Mean logit of the queries of ${pass.name} with every token of key frame ${pass.keys[state.key]}`
      + (its.pooled > 1 ? `; ${its.pooled} x ${its.pooled} tokens averaged to keep this file small` : "") + ".";
    const at = its.position(state.layer, state.head);
    const low = token.limits[at * 2], high = token.limits[at * 2 + 1], scale = { ...scaleOf(true, [low, high]), clipped: false };
    const value = (frame, r, k) => !Number.isFinite(low) ? low : low + (high - low) * token.values[((at * frames + frame) * rows + r) * cols + k] / 255;
    const title = `Tokens of frame ${pass.keys[state.key]}, ${pass.name}`, frame = state.key;
    $("tokens").replaceChildren();
    figure($("tokens"), title, fileName(file, "tokens", `frame${pass.keys[frame]}`), theme => {
      const width = 300, height = Math.max(40, Math.min(300, width * rows / cols));
      const c = canvas(width + 80, height + 16, `${name}: ${title}`, theme);
      const grid = cells(c, 8, 8, width, height, rows, cols, (r, k) => value(frame, r, k), scale, true);
      colourBar(c, width + 16, 8, Math.min(180, height), scale, "key logit");
      return { svg: c.svg, grid };
    }, (r, k) => `row ${r}, column ${k}\nkey logit ${words(value(frame, r, k))}`,
    () => [["key_frame", "row", "column", "key_logit"], ...pass.keys.flatMap((f, i) =>
      Array.from({ length: rows * cols }, (_, j) => [f, Math.floor(j / cols), j % cols, +value(i, Math.floor(j / cols), j % cols).toPrecision(4)]))]);
  }

  function chip(words, value) {
    const span = document.createElement("span"), b = document.createElement("b");
    b.textContent = value;
    span.append(words + " ", b);
    return span;
  }

  function notice(parent, words) {
    const p = document.createElement("p");
    p.className = "notice";
    p.textContent = words;
    parent.append(p);
  }

  /** The rows and columns of the table of heads; on the page what the overview is coloured by comes first. */
  function tableData(measures = run().has) {
    const its = run(), columns = [["layer", i => its.layers[Math.floor(i / its.heads.length)]], ["head", i => its.heads[i % its.heads.length]]];
    for (const m of measures) {
      const values = its.measure(m, state.slot, state.block);
      columns.push([data.measures[m].id, i => values[i], data.measures[m].title]);
    }
    for (const r of its.hasRules) {
      const roles = its.roles(r, state.slot, state.block);
      columns.push([data.rules[r].id, i => roles[i]]);
    }
    const order = Array.from({ length: its.layers.length * its.heads.length }, (_, i) => i).filter(i => !kept || kept[i]);
    const by = columns.find(column => column[0] === state.sort);
    if (by) {
      const missing = v => typeof v === "number" && Number.isNaN(v) ? 1 : 0;
      order.sort((a, b) => {
        const x = by[1](a), y = by[1](b);
        return missing(x) - missing(y) || (state.down ? -1 : 1) * (x < y ? -1 : x > y ? 1 : 0) || a - b;
      });
    }
    return { columns, order, its };
  }

  function drawTable() {
    const { columns, order, its } = tableData([state.measure, ...run().has.filter(m => m !== state.measure)]);
    const head = document.createElement("thead"), row = document.createElement("tr"), body = document.createElement("tbody");
    const titles = [["", null, "label"], ...columns];
    for (const [id, , title] of titles) {
      const th = document.createElement("th"), button = document.createElement("button");
      th.scope = "col";
      button.type = "button";
      button.textContent = (title ?? id) + (id && id === state.sort ? (state.down ? " ▾" : " ▴") : "");
      if (id) th.setAttribute("aria-sort", id === state.sort ? (state.down ? "descending" : "ascending") : "none");
      button.addEventListener("click", () => {
        state.down = id === state.sort ? !state.down : id !== "layer" && id !== "head";
        state.sort = id;
        drawTable();
        writeView();
        [...$("heads").querySelectorAll("th button")].find((_, i) => titles[i][0] === id)?.focus();
      });
      th.append(button);
      row.append(th);
    }
    for (const i of order) {
      const tr = document.createElement("tr"), layer = columns[0][1](i), h = columns[1][1](i);
      tr.setAttribute("aria-selected", layer === state.layer && h === state.head);
      tr.dataset.at = i;
      [label(layer, h), ...columns.map(column => column[1](i))].forEach((value, place) => {
        const td = document.createElement("td");
        td.textContent = typeof value !== "number" ? value || "–" : place < 3 ? value : number(value);
        tr.append(td);
      });
      body.append(tr);
    }
    body.addEventListener("click", event => {
      const tr = event.target.closest("tr");
      if (tr) {
        choose(its.layers[Math.floor(tr.dataset.at / its.heads.length)], its.heads[tr.dataset.at % its.heads.length]);
        $("head-title").scrollIntoView({ block: "nearest" });
      }
    });
    head.append(row);
    $("heads").replaceChildren(head, body);
  }

  // ---- which heads are looked at

  const COMPARED = { "<": (a, b) => a < b, ">": (a, b) => a > b, "<=": (a, b) => a <= b, ">=": (a, b) => a >= b };
  const idOf = words => words.toLowerCase().replace(/[ _-]+/g, "_");

  /**
   * Tells which heads a text names, all of its terms together: layer:10-20, head:3 (from 0), L4H3, L4, H3 (from 1), MEASURE>1.5,
   * a role or a part of its name; "!" before a term turns it round. Throws words for the reader.
   */
  function filterTerms(text, its, slot, block) {
    return text.trim().split(/\s+/).filter(Boolean).map(whole => {
      const not = whole.startsWith("!"), term = not ? whole.slice(1) : whole;
      const test = filterTerm(term, its, slot, block);
      return not ? i => !test(i) : test;
    });
  }

  function filterTerm(term, its, slot, block) {
    const layer = i => its.layers[Math.floor(i / its.heads.length)], head = i => its.heads[i % its.heads.length];
    let m = /^(layer|head):(\d+)(?:-(\d+))?$/i.exec(term);
    if (m) {
      const of = m[1].toLowerCase() === "layer" ? layer : head, from = Number(m[2]), to = Number(m[3] ?? m[2]);
      return i => of(i) >= from && of(i) <= to;
    }
    m = /^(?:L(\d+))?(?:H(\d+))?$/i.exec(term);
    if (m && term) return i => (!m[1] || layer(i) === m[1] - 1) && (!m[2] || head(i) === m[2] - 1);
    m = /^([^<>=]+)(<=|>=|<|>)(.+)$/.exec(term);
    if (m) {
      const at = its.has.find(k => idOf(data.measures[k].id) === idOf(m[1]) || idOf(data.measures[k].title) === idOf(m[1]));
      if (at === undefined) throw new Error(`no measure "${m[1]}"; there are ${its.has.map(k => data.measures[k].id).join(", ")}`);
      const limit = Number(m[3]);
      if (Number.isNaN(limit)) throw new Error(`"${m[3]}" is not a number`);
      const values = its.measure(at, slot, block);
      return i => COMPARED[m[2]](values[i], limit);
    }
    const rules = its.hasRules.filter(r => data.rules[r].names.some(name => name.toLowerCase().includes(term.toLowerCase())));
    if (!rules.length) throw new Error(`unknown role or measure "${term}"; use layer:3, L4H2, entropy>1.5 or a role`);
    const roles = rules.map(r => its.roles(r, slot, block));
    return i => roles.some(list => list[i].toLowerCase().includes(term.toLowerCase()));
  }

  /** For each head of the run whether it is looked at; null where all are. Read anew with every drawing. */
  let kept = null;

  function filter() {
    const its = run(), count = its.layers.length * its.heads.length;
    let words = "", wrong = false;
    kept = null;
    try {
      const terms = filterTerms(state.filter, its, state.slot, state.block);
      if (terms.length) {
        kept = Array.from({ length: count }, (_, i) => terms.every(term => term(i)));
        words = `${kept.filter(Boolean).length} of ${count} heads`;
        if (kept.every(Boolean)) kept = null;
      }
    } catch (e) {
      words = e.message;
      wrong = true;
    }
    $("filter").setAttribute("aria-invalid", wrong);
    $("filter-note").textContent = words;
  }

  // ---- many heads at once

  const GALLERIES = ["nothing", "the heads of this layer", "all heads"];

  /** Small matrices without axes, one for each head; press one to open it. */
  function drawGallery() {
    const its = run(), what = quantity(), signed = what !== "frame_mass", grid = $("gallery-grid");
    const layers = state.gallery === 2 ? its.layers.toReversed() : state.gallery === 1 ? [state.layer] : [];
    const heads = layers.flatMap(layer => its.heads.map(head => [layer, head])).filter(([layer, head]) => !kept || kept[its.position(layer, head)]);
    const matrices = heads.map(([layer, head]) => its.matrix(what, layer, head, state.slot));
    const used = matrices.map(matrix => telling(matrix, its.frames, signed));
    const shared = scaleOf(signed, ...used);
    grid.className = state.gallery === 2 && !kept ? "scroll layers" : "scroll";
    grid.style.setProperty("--heads", its.heads.length);
    $("gallery-note").textContent = !heads.length ? "" : `${quantityTitle(what)}, ${its.slots[state.slot]}; query frames upwards, key frames to the right`
      + (state.alone ? "; each head scaled from its minimum to its maximum." : `; colour scale from ${number(shared.low)} to ${number(shared.high)}.`);
    grid.replaceChildren(...heads.map(([layer, head], i) => {
      const button = document.createElement("button"), canvas = document.createElement("canvas"), name = label(layer, head);
      button.type = "button";
      button.dataset.head = `${layer}:${head}`;
      button.setAttribute("aria-label", `Open layer ${layer}, head ${head}`);
      button.setAttribute("aria-current", layer === state.layer && head === state.head);
      button.addEventListener("click", () => {
        choose(layer, head);
        grid.querySelector(`[data-head="${layer}:${head}"]`)?.focus({ preventScroll: true });
      });
      paintMatrix(canvas, matrices[i], its.frames, state.alone ? scaleOf(signed, used[i]) : shared);
      const caption = document.createElement("span");
      caption.textContent = button.title = name;
      button.append(canvas, caption);
      return button;
    }));
  }

  /** One pixel for each cell; what was not attended stays clear. */
  function paintMatrix(canvas, matrix, frames, scale) {
    canvas.width = canvas.height = frames;
    const pixels = new ImageData(frames, frames);
    matrix.forEach((value, i) => {
      if (Number.isNaN(value)) return;
      const at = ((frames - 1 - Math.floor(i / frames)) * frames + i % frames) * 4;
      pixels.data.set(Number.isFinite(value) ? [...rgb(value, scale), 255] : [0, 160, 0, 255], at);
    });
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  // ---- the video of the first run, and attention on it

  let film = null, playing = 0;

  function openFilm() {
    film = data.film;
    if (!film) return;
    film.pictures = film.frames.map(text => URL.createObjectURL(new Blob([decoded(text)], { type: "image/jpeg" })));
    for (const point of film.points) point.maps = decoded(point.maps);
    if (film.words) film.words.maps = decoded(film.words.maps);
    $("film-area").hidden = false;
    $("film").max = film.pictures.length - 1;
  }

  /** Weights from -1 to 1 of a frame's tokens, means over some heads; null where there are none. */
  function keyMap(frame, heads = [runs[0].position(state.layer, state.head)]) {
    const its = runs[0], token = its.tokens.length ? its.token(state.slot, state.block) : null;
    if (!token || heads.some(at => at < 0) || !heads.length) return null;
    const keys = its.passes[token.pass].keys, k = keys.indexOf(frame), cells = its.tokenRows * its.tokenCols;
    if (k < 0) return null;
    const sums = new Float64Array(cells);
    for (const at of heads) {
      const all = token.values.subarray(at * keys.length * cells, (at + 1) * keys.length * cells);
      let sum = 0, most = 1;
      for (const value of all) sum += value;
      const mean = sum / all.length;
      for (const value of all) most = Math.max(most, Math.abs(value - mean));
      for (let i = 0; i < cells; i++) sums[i] += (all[k * cells + i] - mean) / most / heads.length;
    }
    return { rows: its.tokenRows, columns: its.tokenCols, values: Array.from(sums) };
  }

  /** The role of the head that is shown, by the rule of the overview, and all heads that have it. */
  function roleMates() {
    const its = runs[0], at = its.position(state.layer, state.head);
    if (at < 0 || !its.hasRules.includes(state.rule)) return { role: "", heads: [] };
    const roles = its.roles(state.rule, slotOf(its), blockOf(its));
    return { role: roles[at], heads: roles[at] ? [...roles.keys()].filter(i => roles[i] === roles[at]) : [] };
  }

  function byteMap(of, group, frame, rows, columns) {
    const k = of.keys.indexOf(frame), cells = rows * columns;
    if (k < 0 || group < 0) return null;
    const from = (group * of.keys.length + k) * cells;
    return { rows, columns, values: Array.from(of.maps.subarray(from, from + cells), value => value / 255) };
  }

  /** What is to lie on a frame. */
  function mapOf(frame) {
    const its = runs[0], at = its.position(state.layer, state.head);
    if (state.show === 1) return keyMap(frame);
    if (state.show === 4) return keyMap(frame, roleMates().heads);
    if (state.show === 2) {
      return byteMap(film.points[state.point], at, frame, film.grid[0], film.grid[1]);
    }
    if (state.show === 3) {
      const words = film.words, group = at < 0 ? -1 : words.byHead ? at : Math.floor(at / its.heads.length);
      return byteMap(words, group < 0 ? -1 : group * words.names.length + state.word, frame, words.rows, words.columns);
    }
    return null;
  }

  function framePicture(frame, map) {
    const width = 320, height = Math.round(width * film.ratio), svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("aria-hidden", "true");
    element(svg, "image", { href: film.pictures[frame], width, height, preserveAspectRatio: "none",
      ...map ? { class: "under" } : {} });
    if (!map) return svg;
    const w = width / map.columns, h = height / map.rows, paths = new Map();
    map.values.forEach((value, i) => {
      const step = Math.round(value * 16);
      if (!step) return;
      if (!paths.has(step)) paths.set(step, []);
      paths.get(step).push(`M${(i % map.columns * w).toFixed(2)} ${(Math.floor(i / map.columns) * h).toFixed(2)}h${w.toFixed(2)}v${h.toFixed(2)}h-${w.toFixed(2)}z`);
    });
    for (const [step, parts] of paths) {
      element(svg, "path", { d: parts.join(""), fill: step > 0 ? "#d6301c" : "#1f6fd0", "fill-opacity": Math.abs(step) / 16 * 0.85 });
    }
    return svg;
  }

  function drawFilm() {
    if (!film) return;
    const its = runs[0];
    state.film = clampTo(state.film, film.pictures.length);
    state.point = clampTo(state.point, film.points.length);
    state.word = clampTo(state.word, film.words?.names.length ?? 1);
    const choices = [[0, "nothing"]];
    if (its.tokens.length) choices.push([1, "key logits of the head"]);
    const mates = roleMates();
    if (its.tokens.length && mates.role) choices.push([4, `key logits, mean of all ${mates.role} heads`]);
    if (film.points.length) choices.push([2, "attention of a point"]);
    if (film.words) choices.push([3, "attention to a word"]);
    if (!choices.some(([value]) => value === state.show)) state.show = 0;
    options($("show"), choices, state.show);
    $("film").value = state.film;
    $("film-name").textContent = state.film;
    $("words").hidden = state.show !== 3;
    $("words").replaceChildren(...(state.show === 3 ? film.words.names : []).map((name, i) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-pressed", i === state.word);
      button.addEventListener("click", () => { state.word = i; draw(); $("words").children[i].focus({ preventScroll: true }); });
      return button;
    }));
    const point = film.points[state.point];
    const name = label(state.layer, state.head);
    $("film-note").textContent = [
      film.points.length ? "Click a white box to see what it attends to." : "Click a frame to enlarge it.",
      `${name}: logits of key tokens, red above and blue below their mean.`,
      point ? `${name}: softmax weights of the query in frame ${point.frame}, row ${point.row}, column ${point.column}; ${point.pass}.` : "",
      `${film.words?.byHead ? name : `Layer ${state.layer}, mean of its heads`}: softmax weight on "${film.words?.names[state.word]}" of the prompt.`,
      `Mean of the ${mates.heads.length} ${mates.role} heads (${data.rules[state.rule]?.id}): logits of key tokens, red above and blue below their mean.`,
    ][state.show];
    const svg = framePicture(state.film, mapOf(state.film)), view = svg.viewBox.baseVal;
    svg.removeAttribute("aria-hidden");
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", `Frame ${state.film}. ${$("film-note").textContent}`);
    film.points.forEach((it, i) => {
      if (it.frame !== state.film || film.points.findIndex(o => o.frame === it.frame && o.row === it.row && o.column === it.column) !== i) return;
      const w = view.width / film.grid[1], h = view.height / film.grid[0];
      const box = element(svg, "rect", { class: "point", x: it.column * w, y: it.row * h, width: it.columns * w, height: it.rows * h,
        tabindex: 0, role: "button", "aria-pressed": state.show === 2 && state.point === i,
        "aria-label": `What row ${it.row}, column ${it.column} of frame ${it.frame} attends` });
      const pick = () => { state.show = 2; state.point = i; draw(); say($("film-note").textContent); };
      box.addEventListener("click", pick);
      box.addEventListener("keydown", event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); } });
    });
    $("film-frame").replaceChildren(svg);
    const from = Math.max(0, Math.min(state.film - 24, film.pictures.length - 48)); // a long video's neighbours
    $("film-strip").replaceChildren(...film.pictures.slice(from, from + 48).map((_, i) => {
      const frame = from + i, button = document.createElement("button");
      button.type = "button";
      button.dataset.frame = frame;
      button.setAttribute("aria-current", frame === state.film);
      button.append(framePicture(frame, mapOf(frame)), `frame ${frame}`);
      button.addEventListener("click", () => { state.film = frame; draw(); $("film-strip").querySelector(`[data-frame="${frame}"]`)?.focus({ preventScroll: true }); });
      return button;
    }));
  }

  /** Four latent frames a second are the video's own time. */
  function play() {
    const stop = playing;
    clearInterval(playing);
    playing = stop || !film ? 0 : setInterval(() => {
      state.film = (state.film + 1) % film.pictures.length;
      drawFilm();
    }, 250);
    $("play").textContent = playing ? "Stop" : "Play";
    $("play").setAttribute("aria-pressed", Boolean(playing));
    writeView();
  }

  function drawProvenance() {
    const table = document.createElement("table");
    const looks = [run(), ...others()];
    const keys = [...new Set(looks.flatMap(r => r.metadata.map(([key]) => key)))];
    for (const key of ["file", ...keys]) {
      const tr = document.createElement("tr"), th = document.createElement("th");
      th.scope = "row";
      th.textContent = key;
      tr.append(th);
      for (const r of looks) {
        const td = document.createElement("td");
        td.textContent = key === "file" ? r.name : r.metadata.find(([k]) => k === key)?.[1] ?? "–";
        tr.append(td);
      }
      table.append(tr);
    }
    $("provenance").replaceChildren(table);
  }

  function drawDefinitions() {
    const list = $("definitions");
    const add = (term, ...texts) => {
      const dt = document.createElement("dt");
      dt.textContent = term;
      list.append(dt);
      for (const words of texts) {
        const dd = document.createElement("dd");
        dd.textContent = words;
        list.append(dd);
      }
    };
    for (const m of data.measures) add(m.title, m.definition, "Formula: " + m.formula, "Source: " + m.source);
    for (const r of data.rules) add(r.id, r.definition, "Constants: " + r.constants, "Source: " + r.source);
    add("Values", "Frame values in this file are rounded to half precision (relative error 0.05 %), token maps to 256 steps; measures are not rounded.");
  }

  // ---- the view in the address, so that it can be sent

  const NUMBERS = ["run", "layer", "head", "slot", "block", "key", "quantity", "measure", "rule", "scale", "gallery", "alone",
    "film", "show", "point", "word"];
  let written = "";

  function writeView() {
    const view = new URLSearchParams();
    for (const key of NUMBERS) view.set(key, state[key]);
    if (state.others.length) view.set("others", state.others.join("."));
    if (state.filter) view.set("filter", state.filter);
    if (state.sort) view.set("sort", (state.down ? "-" : "") + state.sort);
    written = "#" + view;
    if (location.hash !== written) {
      try {
        history.replaceState(null, "", written);
      } catch { /* a browser that allows no address for a file still shows the report */ }
    }
  }

  /** Whatever stands in the address: what is no number, or of no run, is left out; the rest is clamped as it is drawn. */
  function readView() {
    const view = new URLSearchParams(location.hash.slice(1));
    const whole = key => /^-?\d{1,6}$/.test(view.get(key) ?? "") ? Number(view.get(key)) : state[key];
    for (const key of NUMBERS) state[key] = whole(key);
    if (!runs[state.run]) state.run = 0;
    state.others = [...new Set((view.get("others") ?? "").split(".").filter(Boolean).map(Number))]
      .filter(i => runs[i] && i !== state.run).slice(0, MOST_RUNS - 1);
    state.scale = clampTo(state.scale, SCALES.length);
    state.gallery = clampTo(state.gallery, GALLERIES.length);
    state.filter = (view.get("filter") ?? "").slice(0, 200);
    const its = run();
    if (!its.has.includes(state.measure)) state.measure = its.has[0] ?? 0;
    if (!its.hasRules.includes(state.rule)) state.rule = -1;
    const sort = view.get("sort") ?? "";
    state.down = sort.startsWith("-") || !sort;
    state.sort = sort.replace(/^-/, "");
  }

  let wanted = 0;

  /** Draws once per frame, however fast a slider moves. */
  function draw() {
    cancelAnimationFrame(wanted);
    $("tip").hidden = true;
    document.documentElement.dataset.theme = state.theme;
    $("theme").textContent = state.theme === "dark" ? "Light" : "Dark";
    controls();
    filter();
    drawOverview();
    drawHead();
    drawGallery();
    drawFilm();
    drawTable();
    $("shown").textContent = [[run(), ...others()].map(r => r.name).join(", "), `layer ${state.layer}, head ${state.head}`,
      run().slots[state.slot], `frame block ${$("block-name").textContent}`, `heads coloured by ${data.measures[state.measure].title}`,
      ...state.filter ? [`only ${state.filter}`] : []].join("; ");
    drawProvenance();
    writeView();
  }

  function soon() {
    cancelAnimationFrame(wanted);
    wanted = requestAnimationFrame(draw);
  }

  function connect() {
    const select = (id, key) => $(id).addEventListener("change", () => {
      state[key] = Number($(id).value);
      if (key === "run") state.others = state.others.filter(i => i !== state.run);
      draw();
    });
    for (const id of ["run", "quantity", "scale", "measure", "rule", "gallery", "show"]) select(id, id);
    $("alone").addEventListener("change", () => { state.alone = Number($("alone").checked); draw(); });
    $("filter").addEventListener("input", () => { state.filter = $("filter").value; soon(); });
    $("play").addEventListener("click", play);
    for (const id of ["slot", "block", "key", "film"]) $(id).addEventListener("input", () => { state[id] = Number($(id).value); soon(); });
    $("layer").addEventListener("input", () => { state.layer = run().layers[Number($("layer").value)]; soon(); });
    $("head").addEventListener("input", () => { state.head = run().heads[Number($("head").value)]; soon(); });
    const theme = () => { state.theme = state.theme === "dark" ? "light" : "dark"; draw(); };
    $("theme").addEventListener("click", theme);
    $("help-open").addEventListener("click", () => $("help").showModal());
    $("heads-csv").addEventListener("click", () => {
      const { columns, order, its } = tableData();
      const rows = [["label", ...columns.map(column => column[0])],
        ...order.map(i => [label(columns[0][1](i), columns[1][1](i)), ...columns.map(column => column[1](i))])];
      save(fileName(its.name, "heads") + ".csv", new Blob([rows.map(row => row.map(csvCell).join(",")).join("\n") + "\n"], { type: "text/csv" }));
    });
    const step = (key, by, list) => { state[key] = list ? list[clampTo(list.indexOf(state[key]) + by, list.length)] : state[key] + by; soon(); };
    document.addEventListener("keydown", event => {
      if (event.ctrlKey || event.altKey || event.metaKey || /INPUT|SELECT/.test(event.target.tagName) || $("help").open) return;
      const keys = {
        h: () => step("head", -1, run().heads), l: () => step("head", 1, run().heads),
        j: () => step("layer", -1, run().layers), k: () => step("layer", 1, run().layers),
        "[": () => step("slot", -1), "]": () => step("slot", 1), ",": () => step("block", -1), ".": () => step("block", 1),
        m: () => { state.measure = run().has[(run().has.indexOf(state.measure) + 1) % run().has.length]; soon(); },
        c: () => { state.others = nextOther(); soon(); },
        "/": () => $("filter").focus(),
        p: play, t: theme, "?": () => $("help").showModal(),
      };
      if (keys[event.key]) { event.preventDefault(); keys[event.key](); }
    });
    // A page that scrolls because a figure got the focus keeps what the keys point at.
    document.addEventListener("scroll", () => { if ($("tip").dataset.by === "pointer") $("tip").hidden = true; }, { passive: true });
  }

  /** No other run, then each of them alone, in turn. */
  function nextOther() {
    const all = [-1, ...runs.keys()].filter(i => i !== state.run);
    const next = all[(all.indexOf(state.others[0] ?? -1) + 1) % all.length];
    return next < 0 ? [] : [next];
  }

  try {
    runs = data.runs.map((info, i) => new Run(info, i));
    openFilm();
    const first = runs[0];
    const model = first.metadata.find(([k]) => k === "model")?.[1];
    $("subtitle").textContent = [model, `${runs.length} run${runs.length > 1 ? "s" : ""}`, `wan-attn ${data.version}`].filter(Boolean).join(", ");
    state.block = Math.max(0, first.blocks.findLastIndex(block => first.passes.some(pass => pass.first === block.first)));
    state.measure = first.has[0] ?? 0;
    readView();
    addEventListener("hashchange", () => { if (location.hash !== written) { readView(); draw(); } });
    connect();
    drawDefinitions();
    draw();
    document.documentElement.dataset.ready = performance.now(); // milliseconds since the page was opened
  } catch (e) {
    $("failure").hidden = false;
    $("failure").textContent = "This report cannot be shown: " + e.message;
    throw e;
  }
})();
