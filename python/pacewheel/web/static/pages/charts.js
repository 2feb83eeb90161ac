// What happened over the last minutes: small charts of the same shape, side by side.

import { html } from "../html.js";
import { count, decimal, millis, seconds, share } from "../format.js";
import { Chart } from "../chart.js";
import { reason } from "../words.js";

export function Charts({ history }) {
  const { at, series, reasons } = history;
  const line = (label, name, token, more = {}) => ({ label, token, values: series[name], ...more });
  const waiting = Object.keys(reasons)
    .filter((name) => reasons[name].some((tasks) => tasks > 0))
    .map((name) => ({ label: reason(name), token: name, values: reasons[name] }));
  return html`<section class="panel" aria-labelledby="over-time">
    <div class="panel-head">
      <h2 id="over-time">Over time</h2>
      <p class="note">${at.length > 1 ? `the last ${seconds(at.at(-1) - at[0])}` : ""}</p>
    </div>
    <div class="charts">
      <${Chart} title="Tasks by state" at=${at} format=${count} series=${[
        line("pending", "pending", "pending"),
        line("waiting", "waiting", "waiting"),
        line("running", "running", "running"),
      ]} />
      <${Chart} title="Tasks a second" at=${at} format=${decimal} series=${[
        line("all attempts", "attempts_per_s", "pending"),
        line("claimed", "claimed_per_s", "claimed"),
        line("completed", "completed_per_s", "completed", { fill: true }),
        line("failed", "failed_per_s", "failed"),
      ]} />
      <${Chart} title="Waiting by reason" at=${at} format=${count} stacked series=${waiting} />
      <${Chart} title="Worker slots" at=${at} format=${count} series=${[
        line("size", "slots", "pending", { step: true }),
        line("busy", "busy", "running", { step: true, fill: true }),
      ]} />
      <${Chart} title="Slowest transactions, p99" at=${at} format=${millis} series=${[
        line("p99", "transaction_p99_ms", "claimed"),
      ]} />
      <${Chart} title="Cache hits" at=${at} format=${share} max=${1.05} series=${[
        line("hit rate", "cache_hit_ratio", "completed"),
      ]} />
    </div>
  </section>`;
}
