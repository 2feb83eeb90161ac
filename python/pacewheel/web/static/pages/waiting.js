// Why tasks wait, in the engine's own words: the table of a job's or a domain's page.

import { html } from "../html.js";
import { count, millis } from "../format.js";
import { Empty, to } from "../parts.js";
import { Table } from "../table.js";
import { reason } from "../words.js";

const JOB = { title: "Job", value: (row) => html`<a href=${to.job(row.job_id)}>${row.job_id}</a>` };
const COLUMNS = [
  { title: "Reason", value: (row) => reason(row.reason) },
  { title: "Tasks", value: (row) => count(row.tasks), number: true },
  { title: "First may start", value: (row) => expected(row.expected_in_ms), number: true },
  { title: "What they wait for", value: (row) => row.holder, grow: true },
];

/** When the first may start, as far as is known. */
export function expected(inMs) {
  if (inMs === null || inMs === undefined) return "depends on others";
  return inMs < 1 ? "now" : `in ${millis(inMs)}`;
}

export const WaitingTable = ({ waiting, withJob }) =>
  html`<${Table}
    caption="Why tasks wait"
    hideCaption
    columns=${withJob ? [JOB, ...COLUMNS] : COLUMNS}
    rows=${waiting}
    keyOf=${(row) => `${row.job_id} ${row.reason}`}
    empty=${html`<${Empty} title="Nothing waits"><p>Every live task runs, or none is left.</p><//>`}
  />`;
