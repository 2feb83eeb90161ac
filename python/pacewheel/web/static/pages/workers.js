// The processes: those that work, and the last that did.

import { html } from "../html.js";
import { ago, count, millis } from "../format.js";
import { Chip, Empty, Panel, Used } from "../parts.js";
import { Resource } from "../resource.js";
import { Table } from "../table.js";

const TONES = { alive: "good", draining: "warn", expired: "bad", lost: "bad", ended: "plain" };

const running = ({ running: tasks, capacity }) =>
  html`<${Used} part=${tasks / capacity} words=${`${count(tasks)} of ${count(capacity)}`} />`;

const columns = (own) => [
  {
    title: "Worker",
    value: (w) => html`${w.id}${w.id === own && html` <small class="soft">this one</small>`}`,
  },
  { title: "State", value: (w) => html`<${Chip} word=${w.state} kind=${TONES[w.state]} />` },
  { title: "Host", value: (w) => w.host, grow: true },
  { title: "Process", value: (w) => w.pid, number: true },
  { title: "Version", value: (w) => w.version },
  { title: "Domains", value: (w) => count(w.domains), number: true },
  { title: "Running", value: (w) => running(w), number: true },
  { title: "Connections", value: (w) => count(w.connections), number: true },
  { title: "Lease left", value: (w) => (w.lease_in_ms === null ? "–" : millis(w.lease_in_ms)), number: true },
  { title: "Started", value: (w) => ago(w.started_at), number: true },
  { title: "Ended", value: (w) => (w.ended_at ? ago(w.ended_at) : "–"), number: true, wide: true },
];

export const Workers = ({ beat, session }) =>
  html`<${Panel} id="title" level=${1} title="Workers">
    <${Resource} path="workers" beat=${beat}>${({ workers }) =>
      html`<${Table}
        caption="Workers"
        hideCaption
        columns=${columns(session?.worker_id)}
        rows=${workers}
        keyOf=${(w) => w.id}
        empty=${html`<${Empty} title="No process works">
          <p>Start one, and it stands here within seconds:</p>
          <pre tabindex="0"><code>pacewheel run</code></pre>
        <//>`}
      />`}<//>
  <//>`;
