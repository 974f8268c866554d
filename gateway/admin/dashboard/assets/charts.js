// Chart.js charts of the figures that /cache/dashboard/now gives. Colours come from the stylesheet.
"use strict";

const charts = (() => {
  const drawn = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const lang = document.documentElement.lang;

  function time(step, starts, exact) {
    const day = { month: "short", day: "numeric" }, hour = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const long = starts.length && starts[starts.length - 1] - starts[0] > 86400 * 1.5;
    const form = step >= 86400 ? day : exact ? { ...day, ...hour } : long ? day : hour;
    const format = new Intl.DateTimeFormat(lang, form);
    return (start) => format.format(new Date(1000 * start));
  }

  function axes(more) {
    const grid = { color: colour("line"), drawTicks: false };
    const ticks = { color: colour("quiet"), padding: 6, maxRotation: 0, autoSkipPadding: 18 };
    const axis = (options) => ({ border: { display: false }, ...options, grid: { ...grid, ...options.grid }, ticks: { ...ticks, ...options.ticks } });
    return Object.fromEntries(Object.entries(more).map(([name, options]) => [name, axis(options)]));
  }

  function draw(name, type, labels, datasets, scales, more = {}) {
    const canvas = document.getElementById(`chart-${name}`);
    const empty = !datasets.some((set) => set.data.some((value) => value));
    canvas.parentElement.querySelector(".none").hidden = !empty;
    const known = drawn.get(name);
    if (known && known.data.datasets.length === datasets.length) {
      known.data.labels = labels;
      datasets.forEach((set, at) => Object.assign(known.data.datasets[at], set));
      Object.assign(known.options, { scales: axes(scales), plugins: plugins(more) });
      known.update("none");
      return;
    }
    known?.destroy();
    const options = { animation: false, responsive: true, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
      ...more.options, scales: axes(scales), plugins: plugins(more) };
    drawn.set(name, new Chart(canvas, { type, data: { labels, datasets }, options }));
  }

  function plugins(more) {
    return {
      legend: { display: more.legend ?? true, position: "bottom", align: "start",
        labels: { color: colour("quiet"), boxWidth: 10, boxHeight: 10, usePointStyle: true, pointStyle: "rectRounded", padding: 14 } },
      tooltip: { backgroundColor: colour("ink"), titleColor: colour("ground"), bodyColor: colour("ground"), padding: 10, cornerRadius: 8,
        boxPadding: 4, usePointStyle: true, callbacks: more.callbacks ?? {} },
    };
  }

  const line = (name, data, of, more = {}) => ({ type: "line", label: name, data, borderColor: colour(of), backgroundColor: colour(of),
    borderWidth: 2, pointRadius: data.filter((value) => value !== null).length < 2 ? 3 : 0, pointHoverRadius: 4, cubicInterpolationMode: "monotone", spanGaps: true, ...more });

  function took(ms) {
    return ms < 1000 ? `${ms < 10 ? Math.round(10 * ms) / 10 : Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`;
  }

  function requests(now, labels, title) {
    const bars = now.requests.bars.map(([name, data], at) => ({ label: name, data, stack: "all", yAxisID: "y", order: 2, borderRadius: 2,
      backgroundColor: colour(["exact", "pixel", "near", "miss"][at]), categoryPercentage: 0.9, barPercentage: 0.95, maxBarThickness: 44 }));
    const [name, data] = now.requests.rate;
    draw("requests", "bar", labels, [...bars, line(name, data, "rate", { yAxisID: "rate", order: 1 })], {
      x: { stacked: true, grid: { display: false } },
      y: { stacked: true, beginAtZero: true, ticks: { precision: 0 } },
      rate: { position: "right", min: 0, max: 100, grid: { display: false }, ticks: { color: colour("rate"), stepSize: 50, callback: (value) => `${value} %` } },
    }, { callbacks: { title, label: (item) => `${item.dataset.label}: ${item.formattedValue}${item.dataset.yAxisID === "rate" ? " %" : ""}` } });
  }

  function latency(now) {
    const sets = now.latency.bars.map(([name, data], at) => ({ label: name, data, backgroundColor: colour(at ? "miss" : "exact"), borderRadius: 3,
      categoryPercentage: 0.78, barPercentage: 0.9, maxBarThickness: 18 }));
    const all = now.latency.bars.flatMap(([, data]) => data).filter((value) => value);
    const least = all.length ? 10 ** Math.floor(Math.log10(Math.min(...all) / 1.5)) : 1;
    draw("latency", "bar", now.latency.names, sets, {
      x: { type: "logarithmic", min: least, ticks: { callback: (value) => (value.toExponential().startsWith("1e") ? took(value) : "") } },
      y: { grid: { display: false }, ticks: { color: colour("ink"), crossAlign: "far" } } },
    { options: { indexAxis: "y", interaction: { mode: "index", axis: "y", intersect: false } },
      callbacks: { label: (item) => `${item.dataset.label}: ${took(item.parsed.x)}` } });
  }

  function saved(now, labels, title) {
    const set = { label: now.saved.unit, data: now.saved.values, backgroundColor: colour("money"), borderRadius: 2, categoryPercentage: 0.9,
      barPercentage: 0.95, maxBarThickness: 44 };
    draw("saved", "bar", labels, [set], { x: { grid: { display: false } }, y: { beginAtZero: true } },
      { legend: false, callbacks: { title, label: (item) => `${item.formattedValue} ${now.saved.unit}` } });
  }

  function reasons(now) {
    const [names, counts] = now.reasons;
    const set = { label: now.words.requests, data: counts, backgroundColor: colour("miss"), hoverBackgroundColor: colour("late"), borderRadius: 4,
      maxBarThickness: 22 };
    draw("reasons", "bar", names, [set], { x: { beginAtZero: true, ticks: { precision: 0 } },
      y: { grid: { display: false }, ticks: { color: colour("ink"), autoSkip: false, crossAlign: "far" } } },
    { legend: false, options: { indexAxis: "y", interaction: { mode: "nearest", axis: "y", intersect: false } } });
  }

  function show(now) {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
    const labels = now.starts.map(time(now.step_s, now.starts, false)), full = time(now.step_s, now.starts, true);
    const title = (items) => (items.length ? full(now.starts[items[0].dataIndex]) : "");
    requests(now, labels, title);
    saved(now, labels, title);
    latency(now);
    reasons(now);
  }

  function forget() {
    drawn.forEach((chart) => chart.destroy());
    drawn.clear();
  }

  return { show, forget };
})();
