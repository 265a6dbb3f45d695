// Draws the charts from `/api/charts` and redraws them every few seconds. The server keeps all data, so a reload shows the
// same; missing values are gaps.

import { all, clockTime, colour, root } from "../ui/page.js";

const EVERY_MS = 5000;
const BETWEEN_NODES = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const UNITS = ["bytes", "KB", "MB", "GB", "TB"];

const place = document.getElementById("charts");
const charts = new Map();
let marks = [];
let timer;

function shownSize(bytes) {
  let [size, unit] = [bytes, 0];
  while (size >= 1000 && unit < UNITS.length - 1) [size, unit] = [size / 1000, unit + 1];
  return `${unit ? Number(size.toFixed(1)) : Math.round(size)} ${UNITS[unit]}`;
}

const count = (value) => (value >= 10000 ? `${Number((value / 1000).toFixed(1))}k` : `${Math.round(value)}`);
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const wholePercent = (value) => `${Math.round(100 * value)} %`;

const KINDS = {
  nodes: { show: count, range: () => [0, 8.5], ticks: () => BETWEEN_NODES.filter((nodes) => nodes % 2 === 0), stepped: true },
  hit_rate: { show: percent, range: () => [0, 1.03], ticks: () => [0, 0.5, 1], showTick: wholePercent },
  miss_rate: { show: percent, range: () => [0, 1.03], ticks: () => [0, 0.5, 1], showTick: wholePercent },
  requests: { show: count, least: 10 },
  items: { show: count, least: 10 },
  bytes: { show: shownSize, least: 1_000_000 },
};

const fromZero = (least) => (_plot, _low, high) => [0, Math.max(high * 1.15, least)];

/** A few round values from 0 to the top. */
function roundTicks(_plot, _axis, _least, most) {
  const rough = most / 4;
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = [1, 2, 5, 10].map((part) => part * power).find((one) => one >= rough) ?? 1;
  const whole = Math.max(step, step < 1 && most >= 1 ? 1 : step);
  return Array.from({ length: Math.floor(most / whole) + 1 }, (_, index) => index * whole);
}

/** Points between two gaps, which a line would not show. */
function alone(plot, series) {
  const values = plot.data[series];
  return values.flatMap((value, index) =>
    value != null && values[index - 1] == null && values[index + 1] == null ? [index] : [],
  );
}

function drawMarks(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const mark of marks) {
    const x = Math.round(plot.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.strokeStyle = colour(mark.kind === "fault" ? "--bad" : "--accent");
    ctx.lineWidth = devicePixelRatio * 1.5;
    ctx.setLineDash(mark.kind === "fault" ? [] : [4 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function axes(kind) {
  const common = { stroke: () => colour("--muted"), font: '11px system-ui, "Liberation Sans", sans-serif', ticks: { show: false } };
  const grid = { stroke: () => colour("--line"), width: 1 };
  return [
    { ...common, grid: { show: false }, size: 26, gap: 7, space: 60, values: (_plot, times) => times.map((at) => clockTime(new Date(at * 1000), false)) },
    { ...common, grid, size: 46, gap: 4, splits: kind.ticks ? () => kind.ticks() : roundTicks, values: (_plot, values) => values.map(kind.showTick ?? kind.show) },
  ];
}

function makeChart(figure) {
  const name = figure.dataset.chart;
  const kind = KINDS[name];
  const plotPlace = figure.querySelector("[data-plot]");
  const line = {
    stroke: () => colour("--accent"),
    fill: () => colour("--accent-soft"),
    width: 2,
    spanGaps: false,
    points: { show: true, size: 5, filter: alone },
  };
  const plot = new uPlot(
    {
      width: plotPlace.clientWidth || 240,
      height: plotPlace.clientHeight || 128,
      padding: [6, 14, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: "minutes" }, y: false, drag: { x: false, y: false }, points: { size: 7 } },
      scales: { x: { time: true, range: (_plot, first, last) => [first, kind.stepped ? last : last + 60] }, y: { range: kind.range ?? fromZero(kind.least) } },
      axes: axes(kind),
      series: [{}, line],
      hooks: { draw: [drawMarks], setCursor: [showValues] },
    },
    [[], []],
    plotPlace,
  );
  return { figure, kind, plot };
}

function lastKnown(values) {
  for (let index = values.length - 1; index >= 0; index -= 1) if (values[index] != null) return values[index];
  return null;
}

/** Shows the value under the pointer, or the newest, beside each title; below, the minute and its events. */
function showValues(moved) {
  const isStepped = [...charts.values()].some(({ kind, plot }) => plot === moved && kind.stepped);
  const index = isStepped && moved.cursor.idx != null ? Math.floor(moved.cursor.idx / 2) : moved?.cursor.idx;
  for (const { figure, kind, plot } of charts.values()) {
    const values = plot.data[1];
    const value = index == null ? lastKnown(values) : values[kind.stepped ? 2 * index : index];
    figure.querySelector("[data-value]").textContent = value == null ? "–" : kind.show(value);
  }
  const told = place.querySelector("[data-told]");
  const time = index == null ? null : moved.data[0][isStepped ? 2 * index : index];
  if (time == null) {
    told.textContent = "\u00a0";
    return;
  }
  const meanwhile = marks.filter((mark) => mark.at >= time && mark.at < time + 60).map((mark) => mark.words);
  told.textContent = [clockTime(new Date(time * 1000), false), ...meanwhile].join(" · ");
}

const points = ({ times, series }, name) => [times, series[name]];

/** Each minute twice, at its start and end, so the value spans the minute and a gap has its true width. */
const steps = ({ times, series, step_seconds: step }, name) => [
  times.flatMap((time) => [time, time + step - 0.001]),
  series[name].flatMap((value) => [value, value]),
];

function draw(figures) {
  marks = figures.marks;
  for (const [name, { kind, plot }] of charts) plot.setData(kind.stepped ? steps(figures, name) : points(figures, name));
  showValues();
  place.dataset.drawn = figures.times.at(-1) ?? "";
  place.dataset.marks = marks.map((mark) => mark.kind).join(" ");
}

function tellTrouble() {
  place.querySelector("[data-told]").textContent = "Metrics are unavailable. Retrying automatically.";
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    const answer = await fetch(`${root}/api/charts?minutes=${place.dataset.minutes}`, { headers: { Accept: "application/json" } });
    if (answer.ok) draw(await answer.json());
    else tellTrouble();
  } catch {
    tellTrouble();
  }
  timer = setTimeout(refresh, EVERY_MS);
}

function fit() {
  for (const { plot } of charts.values()) {
    const box = plot.root.parentElement;
    plot.setSize({ width: box.clientWidth, height: box.clientHeight });
  }
}

for (const figure of all("[data-chart]", place)) charts.set(figure.dataset.chart, makeChart(figure));
new ResizeObserver(fit).observe(place);
document.addEventListener("ui:theme", () => charts.forEach(({ plot }) => plot.redraw()));
document.addEventListener("visibilitychange", refresh);
refresh();
