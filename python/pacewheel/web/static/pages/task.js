// One task: why it is where it is, and what its attempts said.

import { Fragment, html } from "../html.js";
import { bytes, count, day, millis } from "../format.js";
import { Chip, Crumbs, Empty, Facts, Panel, to } from "../parts.js";
import { Resource } from "../resource.js";
import { Table } from "../table.js";
import { reason, tone } from "../words.js";
import { expected } from "./waiting.js";

/** What an attempt came to, by the state of its task then: one that waits is tried again. */
const outcome = (state) => html`<${Chip} word=${state === "waiting" ? "retry" : state} kind=${tone(state)} />`;

const COLUMNS = [
  { title: "Attempt", value: (row) => count(row.attempt), number: true },
  { title: "Outcome", value: (row) => outcome(row.outcome) },
  { title: "Ended", value: (row) => day(row.finished_at) },
  { title: "Answer", value: (row) => row.http_status ?? "–", number: true },
  { title: "Took", value: (row) => millis(row.duration_ms), number: true },
  { title: "Size", value: (row) => bytes(row.bytes), number: true },
  { title: "Cache", value: (row) => row.cache ?? "–" },
  { title: "After the one before", value: (row) => apart(row), number: true },
  { title: "Error", value: (row) => row.error ?? "–" },
  { title: "Message", value: (row) => row.detail?.message ?? row.detail?.error ?? "–", grow: true },
];

const apart = ({ apart_ms: ms, gap_ms: gap }) => (ms == null ? "–" : `${millis(ms)} (least ${millis(gap)})`);

export const Task = ({ route, beat }) => {
  const path = `jobs/${encodeURIComponent(route.jobId)}/tasks/${encodeURIComponent(route.id)}`;
  const trail = [
    ["Overview", "#/"],
    ["Jobs", "#/jobs"],
    [`Job ${route.jobId}`, to.job(route.jobId)],
  ];
  return html`<${Resource} path=${path} beat=${beat}>${(task) => html`<${Fragment}>
    <${Crumbs} trail=${trail} />
    <${Why} task=${task} />
    <${Panel} id="attempts" title="Attempts">
      <${Table}
        caption="Attempts"
        hideCaption
        columns=${COLUMNS}
        rows=${task.attempts}
        keyOf=${(row) => row.attempt}
        empty=${html`<${Empty} title="Not tried yet"><p>Its first attempt will stand here.</p><//>`}
      />
    <//>
  <//>`}<//>`;
};

function Why({ task }) {
  const waits = task.state === "pending" || task.state === "waiting";
  const title = html`<span class="url">${task.target}</span> <${Chip} word=${task.state} />`;
  return html`<${Panel} id="title" level=${1} title=${title} className="hero">
    ${
      waits &&
      html`<p class="lead"><b>${reason(task.reason) || "It waits"}.</b> ${task.holder ?? ""}</p>
      <p>It may start ${expected(task.expected_in_ms)}.</p>`
    }
    ${!waits && task.holder && html`<p class="lead">${task.holder}</p>`}
    <${Facts} facts=${[
      ["Domain", html`<a href=${to.domain(task.domain)}>${task.domain}</a>`],
      ["Job", html`<a href=${to.job(task.job_id)}>${task.job_id}</a>`],
      ["Priority", task.priority],
      ["Attempts", count(task.attempt)],
      ["Worker", task.owner ?? "none"],
      ["Last error", task.error ?? "–"],
    ]} />
  <//>`;
}
