// Figures in words, the same in every place that shows them. Unknown values are an en dash.

export const UNKNOWN = "–";

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);

/** `1,203` */
export const count = (value) => (known(value) ? WHOLE.format(value) : UNKNOWN);

/** `4.2`, `130`, `0.02` */
export function decimal(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return WHOLE.format(value);
  return value.toFixed(size < 0.1 ? 2 : 1);
}

/** `4.2/s` */
export const perSecond = (value) => (known(value) ? `${decimal(value)}/s` : UNKNOWN);

/** `252`: a rate by the second, said by the minute. */
export const perMinute = (value) => (known(value) ? decimal(Math.round(value * 600) / 10) : UNKNOWN);

/** `45 %`, rounded down: 100 % is all of it. */
export const share = (value) => (known(value) ? `${Math.floor(value * 100 + 1e-9)} %` : UNKNOWN);

/** `0.4 ms`, `120 ms`, `1.5 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h` */
export function millis(value) {
  if (!known(value)) return UNKNOWN;
  if (value <= 0) return "0 ms";
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${value.toFixed(0)} ms`;
  return seconds(value / 1000);
}

export function seconds(value) {
  if (!known(value)) return UNKNOWN;
  if (value > 0 && value < 10) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  if (whole < 100) return `${whole} s`;
  if (whole < 3600) return paired(whole, 60, "min", 1, "s");
  if (whole < 86_400) return paired(whole, 3600, "h", 60, "min");
  return paired(whole, 86_400, "d", 3600, "h");
}

function paired(whole, unit, unitName, below, belowName) {
  const rest = Math.floor((whole % unit) / below);
  return `${Math.floor(whole / unit)} ${unitName}` + (rest ? ` ${rest} ${belowName}` : "");
}

/** `812 B`, `12 kB`, `3.4 MB`, `1.2 GB` */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  const units = ["B", "kB", "MB", "GB", "TB"];
  let amount = value;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return `${amount.toFixed(amount >= 10 || unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** The time of day, `17:03:12`. */
export const clock = (at) => (at ? CLOCK.format(new Date(at)) : UNKNOWN);

/** Day and time, `27 Nov 2026, 17:03:12`. */
export const day = (at) => (at ? DAY.format(new Date(at)) : UNKNOWN);

const UNITS = [
  [86_400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

let aheadMs = 0;

/** Hear the server's time: what it says is as long ago as its own clock says, not as ours does. */
export function hearTime(at) {
  aheadMs = Date.parse(at) - Date.now();
}

/** How long ago, `12 s ago`, `3 min ago`; `at` is a time of the server. */
export function ago(at) {
  if (!at) return UNKNOWN;
  const passed = (Date.now() + aheadMs - new Date(at).getTime()) / 1000;
  if (passed < 1.5) return "just now";
  const [unit, name] = UNITS.find(([size]) => passed >= size);
  return `${Math.floor(passed / unit)} ${name} ago`;
}

/** A clause as the beginning of a sentence; names in it stay as they are. */
export const capital = (words) => (words ? words[0].toUpperCase() + words.slice(1) : "");

/** `no_op` as `No op`. */
export const term = (word) => capital(word.replaceAll("_", " "));

/** `1 task`, `1,203 tasks` */
export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
