// A chart of figures over time (uPlot), with its legend and its text alternative.
//
// The legend shows the latest values, or those under the pointer. Those who don't see the drawing get
// a sentence with what each line is now and where it has been. Colours come from the theme's tokens.

import uPlot from "./vendor/uplot.js";
import { Component, createRef, html } from "./html.js";
import { count, seconds } from "./format.js";

const HEIGHT = 150;
const SECONDS_BELOW_S = 300;
const FONT = "11px system-ui, sans-serif";
const STACKED = { part: 45, of: "var(--card)" };
const FILLED = { part: 14 };
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const TIME_S = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });

export class Chart extends Component {
  // props: title, at (seconds), series: [{ label, token, values, step, fill }], format, stacked, max
  state = { index: null };
  place = createRef();

  componentDidMount() {
    this.draw();
    this.watcher = new ResizeObserver(() => this.fit());
    this.watcher.observe(this.place.current);
    window.addEventListener("themechange", this.draw);
  }

  componentDidUpdate(before) {
    const names = ({ series }) => series.map(({ label }) => label).join();
    if (names(before) !== names(this.props)) this.draw();
    else this.plot?.setData(this.data());
  }

  componentWillUnmount() {
    this.watcher.disconnect();
    window.removeEventListener("themechange", this.draw);
    this.plot?.destroy();
  }

  fit() {
    const width = this.place.current.clientWidth;
    if (width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  data() {
    const { at, series, stacked } = this.props;
    const columns = series.map(({ values }) => values ?? at.map(() => null));
    return [at, ...(stacked ? sums(columns).reverse() : columns)];
  }

  draw = () => {
    this.plot?.destroy();
    const place = this.place.current;
    const probe = place.appendChild(document.createElement("span"));
    const ink = colourOf(probe);
    this.plot = new uPlot(
      {
        width: place.clientWidth || 320,
        height: HEIGHT,
        legend: { show: false },
        cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
        scales: { y: { range: (_, low, high) => [0, this.top(high)] } },
        axes: [timeAxis(ink), valueAxis(ink, this.props.format)],
        series: [{}, ...this.lines(ink)],
        hooks: { setCursor: [({ cursor }) => this.point(cursor.idx)] },
      },
      this.data(),
      place,
    );
    probe.remove();
  };

  /** The topmost of a stack is drawn first, and those below it over it. */
  lines(ink) {
    const { series, stacked } = this.props;
    const lines = series.map((line) => lineOf(line, ink, stacked));
    return stacked ? lines.reverse() : lines;
  }

  top(high) {
    return this.props.max ?? (high > 0 ? high * 1.12 : 1);
  }

  point(index) {
    if (index !== this.state.index) this.setState({ index: index ?? null });
  }

  render({ title, at, series, format = count }, { index }) {
    const pointed = index !== null && index < at.length; // a server that came back remembers less
    const place = pointed ? index : at.length - 1;
    const when = pointed ? TIME_S.format(new Date(at[index] * 1000)) : "";
    return html`<figure class="chart">
      <figcaption>
        <h3>${title}</h3>
        <span class="when">${when}</span>
      </figcaption>
      <ul class="legend" aria-hidden="true">
        ${series.map(
          ({ label, token, values }) => html`<li key=${label}>
            <span class="swatch" style=${{ "--swatch": `var(--${token})` }}></span>
            ${label} <b>${format(values?.[place])}</b>
          </li>`,
        )}
      </ul>
      <div class="plot" role="img" aria-label=${inWords(title, at, series, format)} ref=${this.place}></div>
    </figure>`;
  }
}

/** The drawing as a sentence a line. */
function inWords(title, at, series, format) {
  if (at.length < 2) return `${title}: not enough samples yet.`;
  const lines = series.map(({ label, values = [] }) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    if (known.length === 0) return `${label}: unknown.`;
    const [low, high] = known.reduce(([l, h], v) => [Math.min(l, v), Math.max(h, v)], [Infinity, 0]);
    return `${label}: now ${format(known.at(-1))}, between ${format(low)} and ${format(high)}.`;
  });
  return `${title}, the last ${seconds(at.at(-1) - at[0])}. ${lines.join(" ")}`;
}

const sums = (columns) =>
  columns.reduce((done, column) => {
    const below = done.at(-1);
    return [...done, column.map((value, i) => (value === null ? null : value + (below?.[i] ?? 0)))];
  }, []);

/** A function that reads the theme's colours: a token resolved by the browser itself. */
function colourOf(probe) {
  return (token, { part = 100, of = "transparent" } = {}) => {
    probe.style.color = `color-mix(in srgb, var(--${token}) ${part}%, ${of})`;
    return getComputedStyle(probe).color;
  };
}

const lineOf = ({ token, step, fill }, ink, stacked) => ({
  stroke: ink(token),
  width: stacked ? 1 : 1.75,
  fill: stacked ? ink(token, STACKED) : fill ? ink(token, FILLED) : undefined,
  paths: step ? uPlot.paths.stepped({ align: 1 }) : undefined,
  points: { show: false },
});

const timeAxis = (ink) => ({
  stroke: ink("soft"),
  font: FONT,
  size: 26,
  space: 70,
  grid: { show: false },
  ticks: { show: false },
  values: (plot, splits) => {
    const { min, max } = plot.scales.x;
    const format = max - min < SECONDS_BELOW_S ? TIME_S : TIME;
    return splits.map((at) => format.format(new Date(at * 1000)));
  },
});

const valueAxis = (ink, format = count) => ({
  stroke: ink("soft"),
  font: FONT,
  size: 46,
  space: 34,
  grid: { stroke: ink("line"), width: 1 },
  ticks: { show: false },
  // Half a task is no task.
  values: (_, splits) => splits.map((at) => (format === count && !Number.isInteger(at) ? "" : format(at))),
});
