// What the process does for it: transactions, scaling, cache, database and the process itself.

import { Component, html } from "../html.js";
import {
  bytes,
  clock,
  count,
  decimal,
  millis,
  perSecond,
  seconds,
  share,
  term,
} from "../format.js";
import { Bar, Empty, Facts, Panel, to } from "../parts.js";
import { Table } from "../table.js";

// What the server sums up, once it has run for so long.
const MINUTES = 5;
const STATEMENTS_SHOWN = 8;
const STATEMENTS = [
  { title: "Statement", value: (row) => html`<code>${row.statement}</code>`, grow: true },
  { title: "Count", value: (row) => count(row.count), number: true },
  { title: "p50", value: (row) => millis(row.p50_ms), number: true },
  { title: "p95", value: (row) => millis(row.p95_ms), number: true, wide: true },
  { title: "p99", value: (row) => millis(row.p99_ms), number: true },
  { title: "Slow", value: (row) => marked(row.slow, "warn"), number: true },
  { title: "Errors", value: (row) => marked(row.errors, "bad"), number: true },
];

const marked = (value, kind) => (value ? html`<span class=${`mark ${kind}`}>${count(value)}</span>` : "0");

/** What needs a look comes first: slow or failed ones, then the slowest. */
const byNeed = (one, other) =>
  other.slow - one.slow || other.errors - one.errors || (other.p99_ms ?? 0) - (one.p99_ms ?? 0);

export class Transactions extends Component {
  state = { all: false };

  render({ transactions, uptimeS }, { all }) {
    const rows = [...transactions].sort(byNeed);
    const slow = rows.reduce((sum, row) => sum + row.slow, 0);
    const minutes = Math.min(MINUTES, uptimeS / 60);
    const note = `of this process, the last five minutes: ${decimal(slow / minutes)} slow a minute`;
    return html`<${Panel} id="transactions" title="Transactions" note=${note}>
      <${Table}
        caption="Transactions of this process by statement, the last five minutes"
        hideCaption
        dense
        columns=${STATEMENTS}
        rows=${all ? rows : rows.slice(0, STATEMENTS_SHOWN)}
        keyOf=${(row) => row.statement}
        empty=${html`<${Empty} title="None yet"><p>The first follows with the first job.</p><//>`}
      />
      ${
        rows.length > STATEMENTS_SHOWN &&
        html`<p class="pager">
          <button type="button" aria-expanded=${all} onClick=${() => this.setState({ all: !all })}>
            ${all ? "Show the slowest" : `Show all ${rows.length} statements`}
          </button>
        </p>`
      }
    <//>`;
  }
}

const DECISIONS_SHOWN = 8;
const DECISIONS = [
  { title: "At", value: (row) => clock(row.at) },
  { title: "Decision", value: (row) => term(row.decision) },
  { title: "Slots", value: (row) => `${row.slots_before} → ${row.slots_after}`, number: true },
  { title: "Reason", value: (row) => term(row.reason), grow: true },
];

export function Scaling({ scaling, slots }) {
  return html`<${Panel} id="scaling" title="Scaling decisions">
    <${Facts} facts=${[
      ["Slots now", count(slots.size), `${count(slots.min)} to ${count(slots.max)}`],
      ["Evaluations/min", decimal(scaling.per_min)],
      ...Object.entries(scaling.by_decision).map(([word, times]) => [term(word), count(times)]),
    ]} />
    <h3>The last that said something new</h3>
    <${Table}
      caption="The last scaling decisions"
      hideCaption
      dense
      columns=${DECISIONS}
      rows=${scaling.recent.slice(0, DECISIONS_SHOWN)}
      empty=${html`<${Empty} title="No change so far"><p>Slots grow when tasks wait for one.</p><//>`}
    />
  <//>`;
}

export function Cache({ cache = {} }) {
  const reasons = Object.entries(cache.invalidations_by_reason ?? {});
  const hot = cache.hot_jobs ?? [];
  const most = Math.max(1, ...hot.map(usesOf));
  return html`<${Panel} id="cache" title="Job cache">
    <${Facts} facts=${[
      ["Hit rate", share(cache.hit_ratio)],
      ["Hits", count(cache.hits)],
      ["Misses", count(cache.misses)],
      ["Joined a load", count(cache.joins)],
      ["Loads", count(cache.loads)],
      ["Entries", count(cache.entries)],
    ]} />
    <h3>Invalidations by reason</h3>
    ${
      reasons.length
        ? html`<${Facts} facts=${reasons.map(([word, times]) => [term(word), count(times)])} />`
        : html`<p class="soft">None so far.</p>`
    }
    <h3>Hot jobs, look-ups of the last full minute</h3>
    ${
      hot.length
        ? html`<ul class="reasons">
          ${hot.map(
            (row) => html`<li key=${row.job_id}>
              <a class="label" href=${to.job(row.job_id)}>Job ${row.job_id}</a>
              <span class="figure">${count(usesOf(row))}</span>
              <${Bar} parts=${[{ part: usesOf(row) / most, kind: "accent" }]} />
            </li>`,
          )}
        </ul>`
        : html`<p class="soft">None.</p>`
    }
  <//>`;
}

const usesOf = (row) => row.hits + row.misses;

const bytesPerSecond = (value) => (value == null ? bytes(null) : `${bytes(value)}/s`);

/** The sum of a figure's series: `connections:active` and `connections:idle`. */
function sumOf(database, name) {
  const found = Object.entries(database).filter(([key]) => key === name || key.startsWith(`${name}:`));
  return found.length ? found.reduce((sum, [, value]) => sum + value, 0) : null;
}

function hitRatio(database) {
  const whole = sumOf(database, "blocks_total");
  return whole ? database["blocks_total:hit"] / whole : null;
}

export function Database({ overview: { pool, database, database_per_s: grown, process, raises, worker } }) {
  const outcomes = Object.entries(raises.by_outcome ?? {});
  return html`<${Panel} id="database" title="Connections, database, process">
    <${Facts} facts=${[
      ["Busy connections", count(pool.busy), `of ${count(pool.limit)}`],
      ["Idle ones", count(pool.idle)],
      ["Waiting for one", count(pool.waiting)],
    ]} />
    <h3>Database</h3>
    <${Facts} facts=${[
      ["Size", bytes(database.size_bytes)],
      ["Connections", count(sumOf(database, "connections"))],
      ["Commits", perSecond(grown["transactions_total:commit"])],
      ["Rollbacks", perSecond(grown["transactions_total:rollback"])],
      ["Sessions at work", decimal(grown.active_seconds_total)],
      ["Cache hits", share(hitRatio(database))],
      ["Blocks read", perSecond(grown["blocks_total:read"])],
      ["WAL", bytesPerSecond(grown.wal_bytes_total)],
      ["Dead rows", count(sumOf(database, "dead_rows"))],
    ]} />
    <h3>This process</h3>
    <${Facts} facts=${[
      ["Worker", worker.worker_id ?? "none yet"],
      ["Runs for", seconds(worker.uptime_s)],
      ["Processor", share(process.cpu_ratio), "of a core"],
      ["Memory", bytes(process.memory_bytes), `of ${bytes(process.memory_limit_bytes)}`],
      ["Received", bytesPerSecond(process.network_received_bytes_per_s)],
      ["Sent", bytesPerSecond(process.network_sent_bytes_per_s)],
    ]} />
    <h3>Priority raises</h3>
    <${Facts} facts=${[
      ["Raises/min", decimal(raises.per_min)],
      ["Buffered", count(raises.buffered)],
      ...outcomes.map(([word, times]) => [term(word), count(times)]),
    ]} />
  <//>`;
}
