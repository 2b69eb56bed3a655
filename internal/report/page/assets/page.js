"use strict";
// Draws the curves in the block of data: runs, each with axes (the steps, epochs and hours of points) and curves, which
// name their axis. All runs stand in each plot, a colour each. A page that a server gives goes on with its updates.
(function () {
  const runs = JSON.parse(document.getElementById("data").textContent).runs.map(withAxes);
  const place = document.getElementById("plots");
  if (!place) return;

  // Each plot, its curves, and how these are drawn: of steps as lines with a band, of epochs' ends with points.
  const plots = [
    {title: "loss (nats)", log: true, curves: [["loss", "training"], ["val_loss", "validation"]]},
    {title: "error (%)", log: true,
      curves: [["top1", "training top-1"], ["val_top1", "validation top-1"], ["val_top5", "validation top-5"]]},
    {title: "learning rate", always: true, curves: [["lr", "rate"]]},
    {title: "images a second", peaks: true, curves: [["rate", "images/s"]]},
    {title: "time waiting for pictures (%)", curves: [["stall", "data stall"]]},
  ];
  const smoothable = ["loss", "top1", "rate", "stall"];
  const light = ["#0072b2", "#d55e00", "#007a55", "#b0508a", "#a86c00", "#4060d0"];
  const dark = ["#56b4e9", "#f0894a", "#3fc79a", "#e3a3c6", "#e8b23a", "#9fb2ff"];
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");

  const colour = (i) => {
    const all = scheme.matches ? dark : light;
    return i < all.length ? all[i] : "hsl(" + Math.round(i * 137.5) % 360 + " 60% " + (scheme.matches ? 70 : 40) + "%)";
  };
  const pale = (c) => (c[0] === "#" ? c + "38" : c.replace(")", " / .22)"));
  const chosen = (name) => document.querySelector("input[name=" + name + "]:checked").value;
  const number = (v) => (v == null ? "–" : String(+v.toPrecision(4)));

  // smooth is the exponential mean of values, each weighted by how far it lies back, as if it had begun with the first.
  function smooth(values, weight) {
    if (weight === 0) return values;
    let sum = 0, of = 0;
    return values.map((v) => {
      if (v == null) return v;
      sum = weight * sum + (1 - weight) * v;
      of = weight * of + (1 - weight);
      return sum / of;
    });
  }

  // withAxes gives each curve of a run its axis instead of the axis's number.
  function withAxes(run) {
    for (const curve of Object.values(run.curves)) curve.x = run.x[curve.x];
    return run;
  }

  // table is a curve as uPlot joins it: x that ascends, then least, mean and most at each; null: it has no such x.
  function table(curve, by, weight) {
    const xs = curve.x[by];
    if (!xs) return null;
    const mean = smooth(curve.mean, weight), out = [[], [], [], []];
    let last = -Infinity;
    xs.forEach((x, i) => {
      if (x == null || x <= last) return;
      last = x;
      out[0].push(x);
      out[1].push(curve.min ? curve.min[i] : mean[i]);
      out[2].push(mean[i]);
      out[3].push(curve.max ? curve.max[i] : mean[i]);
    });
    return out;
  }

  let drawn = []; // of each plot its uPlot, and what that is drawn from
  let held = false, zooming = false; // somebody zoomed; that is being done to the other plots, or data came

  // nearest is the point of a series that the pointer is nearest to: other series have points between its own.
  function nearest(u, series, at, x) {
    const xs = u.data[0], ys = u.data[series];
    if (series === 0 || ys[at] != null) return at;
    let low = at, high = at;
    while (low >= 0 && ys[low] == null) low--;
    while (high < ys.length && ys[high] == null) high++;
    if (low < 0) return high < ys.length ? high : at;
    return high < ys.length && xs[high] - x < x - xs[low] ? high : low;
  }

  // zoomed shows in all plots what one was zoomed to.
  function zoomed(u, scale) {
    if (scale !== "x" || zooming || !drawn.some((d) => d.u === u)) return;
    zooming = true;
    for (const {u: other} of drawn) if (other !== u) other.setScale("x", {min: u.scales.x.min, max: u.scales.x.max});
    zooming = false;
  }

  // prepare gathers what a plot is drawn from; undefined: nothing. Plots of the same key differ in their data only.
  function prepare(plot, by, log, weight, lacking) {
    const tables = [], series = [{label: by, value: (u, v) => number(v)}], bands = [];
    for (const [i, run] of runs.entries()) {
      for (const [kind, name] of plot.curves) {
        const curve = run.curves[kind];
        if (!curve) continue;
        const t = table(curve, by, smoothable.includes(kind) ? weight : 0);
        if (!t) {
          lacking.add(run.name);
          continue;
        }
        const ends = kind.startsWith("val_"), stroke = colour(runs.length > 1 ? i : plot.curves.findIndex((c) => c[0] === kind));
        const banded = Boolean(curve.min), first = series.length;
        const edge = {class: "band", stroke: "transparent", width: 0, points: {show: false}};
        if (banded) {
          series.push(edge);
          bands.push({series: [first + 2, first], fill: pale(stroke)});
          tables.push(t);
        } else {
          tables.push([t[0], t[2]]);
        }
        series.push({
          label: (runs.length > 1 ? run.name + " " : "") + name, stroke, width: ends ? 2 : 1.25,
          dash: runs.length > 1 && ends ? (kind === "val_top5" ? [2, 4] : [8, 4]) : undefined,
          points: {show: ends && t[0].length <= 200, size: 5, fill: stroke},
          value: (u, v, s, at) => {
            if (v == null || at == null) return "–";
            const low = banded && u.data[s - 1][at], high = banded && u.data[s + 1][at];
            return number(v) + (banded && low !== high ? " (" + number(low) + " to " + number(high) + ")" : "");
          },
        });
        if (banded) series.push({...edge});
      }
    }
    if (tables.length === 0) return undefined;
    const top = plot.peaks ? usual(tables) : Infinity;
    let data = tables.length === 1 ? tables[0] : uPlot.join(tables);
    const distr = log && plot.log || plot.always ? 3 : 1;
    if (distr === 3) data = data.map((ys, i) => (i === 0 ? ys : ys.map((y) => (y === undefined || y > 0 ? y : null))));
    const title = plot.title + (top < Infinity ? ", peaks cut off" : "");
    return {data, series, bands, distr, top, title, key: JSON.stringify([title, series, bands])};
  }

  // boxOf is where a plot will be. All are there before one is drawn: how wide they are depends on how many there are.
  function boxOf(plan) {
    const box = document.createElement("div"), head = document.createElement("h3");
    box.className = "plot";
    head.textContent = plan.title;
    box.append(head);
    place.append(box);
    return box;
  }

  function draw(plan, end, box) {
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim();
    const axis = {stroke: ink, grid: {stroke: line, width: 1}, ticks: {stroke: line, width: 1}};
    const entry = {plan};
    entry.u = new uPlot({
      width: box.clientWidth, height: 280, series: plan.series, bands: plan.bands,
      scales: {
        x: {time: false, range: (u, low, high) => (low == null || low === high ? [0, end] : [low, high])},
        y: {distr: plan.distr, ...(plan.top < Infinity && {range: () => [0, entry.plan.top]})},
      },
      axes: [{...axis, values: (u, all) => all.map((v) => (v == null ? "" : short(v)))},
        {...axis, size: 64, values: (u, all) => all.map((v) => (v == null ? "" : short(v)))}],
      cursor: {dataIdx: nearest, sync: {key: "runs", setSeries: false}, points: {size: 7}},
      legend: {live: true, markers: {dash: (u, i) => border(plan.series[i].dash)}},
      hooks: {setScale: [zoomed], setSelect: [(u) => { held = held || u.select.width > 0; }]},
    }, plan.data, box);
    box.addEventListener("dblclick", () => { held = false; });
    drawn.push(entry);
  }

  // border is how the key's mark of a line with such dashes is drawn.
  function border(dash) {
    if (!dash) return "solid";
    return dash[0] < dash[1] ? "dotted" : "dashed";
  }

  // usual is half as much again as all but the highest twentieth of what is drawn, where peaks are far above that.
  function usual(tables) {
    const all = tables.flatMap((t) => t[t.length > 2 ? 2 : 1]).filter((v) => v != null).sort((a, b) => a - b);
    const top = 1.5 * all[Math.floor(.95 * (all.length - 1))];
    return all[all.length - 1] > 2 * top ? top : Infinity;
  }

  // short is a number at a tick.
  function short(v) {
    const a = Math.abs(v);
    if (a >= 1e6) return number(v / 1e6) + "M";
    if (a >= 1e4) return number(v / 1e3) + "k";
    return a > 0 && a < 1e-3 ? v.toExponential(0) : number(v);
  }

  // prepareAll is that of all plots, as the controls say.
  function prepareAll() {
    const by = chosen("x"), log = chosen("y") === "log", weight = Number(document.getElementById("smooth").value);
    const lacking = new Set();
    const plans = plots.map((plot) => prepare(plot, by, log, weight, lacking)).filter((plan) => plan);
    document.getElementById("smoothed").textContent = weight;
    document.getElementById("lacking").textContent =
      lacking.size ? "Not known by " + by + ": " + [...lacking].join(", ") + "." : "";
    return plans;
  }

  function drawAll(plans) {
    for (const {u} of drawn) u.destroy();
    drawn = [];
    held = false;
    place.replaceChildren();
    let end = 0;
    for (const {data: [xs]} of plans) end = Math.max(end, xs[xs.length - 1] || 0);
    const boxes = plans.map(boxOf);
    plans.forEach((plan, i) => draw(plan, end || 1, boxes[i]));
    document.body.dataset.drawn = drawn.length; // for tests
  }

  // refresh draws what came since, and leaves what was zoomed to and what was hidden.
  function refresh() {
    const plans = prepareAll();
    if (plans.length !== drawn.length || plans.some((plan, i) => plan.key !== drawn[i].plan.key)) {
      drawAll(plans);
      return;
    }
    zooming = true;
    plans.forEach((plan, i) => {
      const entry = drawn[i], u = entry.u, {min, max} = u.scales.x;
      entry.plan = plan;
      u.setData(plan.data, !held);
      if (held) u.setScale("x", {min, max}); // so that y is scaled to what is there now
    });
    queueMicrotask(() => { zooming = false; }); // after those in which the plots are drawn
  }

  // merge adds an update to a run: of the curves in it points after a step are replaced, else all curves.
  function merge(run, news) {
    if (!news.after) {
      run.curves = news.curves;
      return;
    }
    for (const [kind, curve] of Object.entries(news.curves)) {
      const old = run.curves[kind];
      if (!old) {
        run.curves[kind] = curve;
        continue;
      }
      let n = old.x.step.length;
      while (n > 0 && old.x.step[n - 1] > news.after[0]) n--;
      const join = (a, b) => (a && b ? a.slice(0, n).concat(b) : null);
      const all = (a, b, keys) => Object.fromEntries(keys.map((key) => [key, join(a[key], b[key])]));
      run.curves[kind] = {x: all(old.x, curve.x, ["step", "epoch", "hour"]), ...all(old, curve, ["min", "mean", "max"])};
    }
  }

  // follow takes the updates of a server. Its events have marks that say which server they are of, and how far they go:
  // the browser brings the last one back when it connects again.
  function follow(mark) {
    const say = (words) => { document.getElementById("live").textContent = words; };
    let stale = false;
    history.replaceState(null, "", location.pathname); // without the token, which is a cookie now
    const events = new EventSource("events?after=" + encodeURIComponent(mark));
    events.addEventListener("open", () => say("Live: this page follows the run."));
    events.addEventListener("run", (e) => {
      if (e.lastEventId.split(":")[0] !== mark.split(":")[0]) { // another run by now
        location.reload();
        return;
      }
      const news = JSON.parse(e.data);
      merge(runs[0], withAxes(news.curves));
      document.getElementById("runs").innerHTML = news.runs; // from the templates that this page is from
      document.getElementById("run1time").innerHTML = news.time;
      document.body.dataset.told = Number(document.body.dataset.told || 0) + 1; // for tests
      stale = document.hidden;
      if (!stale) refresh();
    });
    events.addEventListener("end", (e) => {
      events.close();
      say(JSON.parse(e.data));
    });
    events.addEventListener("error", () => say(events.readyState === EventSource.CLOSED ?
      "No updates: too many are looking, the run has ended, or another one is served. Load the page again." :
      "The connection is lost; trying again."));
    document.addEventListener("visibilitychange", () => {
      if (stale && !document.hidden) refresh();
    });
  }

  document.getElementById("controls").hidden = false;
  document.getElementById("hint").hidden = false;
  document.getElementById("controls").addEventListener("input", () => drawAll(prepareAll()));
  scheme.addEventListener("change", () => drawAll(prepareAll()));
  new ResizeObserver(() => {
    for (const {u} of drawn) {
      const width = u.root.parentNode.clientWidth;
      if (width !== u.width) u.setSize({width, height: 280});
    }
  }).observe(place);
  drawAll(prepareAll());
  if (document.body.dataset.live) follow(document.body.dataset.live);
})();
