// Samples over time for the charts: what the server kept, then one more with each overview.
// Bounded by SAMPLES_MAX. Where samples are missing, a null breaks the line.

import { get } from "./api.js";

const SAMPLES_MAX = 900;
const GAP_S = 12;

const FROM_OVERVIEW = {
  pending: (o) => o.totals?.pending,
  waiting: (o) => o.totals?.waiting,
  running: (o) => o.totals?.running,
  claimed_per_s: (o) => o.rates?.claimed_per_s,
  completed_per_s: (o) => o.rates?.completed_per_s,
  failed_per_s: (o) => o.rates?.failed_per_s,
  attempts_per_s: (o) => o.rates?.attempts_per_s,
  slots: (o) => o.slots?.size,
  busy: (o) => o.slots?.busy,
  transaction_p99_ms: (o) => o.transaction_p99_ms,
  cache_hit_ratio: (o) => o.cache?.hit_ratio,
};

export class History {
  constructor() {
    this.at = [];
    this.series = {};
    this.reasons = {};
  }

  /** Replace what is known by what the server has kept. */
  async load() {
    const { at, series } = await get("history");
    const { waiting_by_reason: reasons = {}, ...others } = series;
    Object.assign(this, { at: at.map(asSeconds), series: others, reasons });
  }

  append(overview) {
    const at = asSeconds(overview.at);
    let last = this.at.at(-1);
    if (last - at > GAP_S) {
      const back = last - at + 1; // the server's clock was set
      this.at = this.at.map((each) => each - back);
      last -= back;
    }
    if (at <= last) return;
    if (last !== undefined && at - last > GAP_S) this.push(last + 1, () => null, null);
    this.push(at, (name) => FROM_OVERVIEW[name](overview), overview.totals?.waiting_by_reason ?? {});
  }

  push(at, valueOf, reasons) {
    const before = this.at.length;
    this.at = [...this.at, at].slice(-SAMPLES_MAX);
    for (const name of Object.keys(FROM_OVERVIEW)) {
      this.series[name] = extended(this.series[name], before, valueOf(name) ?? null);
    }
    for (const name of new Set([...Object.keys(this.reasons), ...Object.keys(reasons ?? {})])) {
      this.reasons[name] = extended(this.reasons[name], before, reasons && (reasons[name] ?? 0));
    }
  }
}

const extended = (values, length, value) =>
  [...(values ?? Array(length).fill(null)), value].slice(-SAMPLES_MAX);

const asSeconds = (at) => (typeof at === "number" ? at : Date.parse(at) / 1000);
