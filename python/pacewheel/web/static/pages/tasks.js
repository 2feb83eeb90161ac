// Tasks of a job: a list that is read on by the server's own mark, whatever the job's size.

import { Component, Fragment, html } from "../html.js";
import { bytes, count, millis } from "../format.js";
import { Chip, Empty, Pager, Panel, to } from "../parts.js";
import { Resource } from "../resource.js";
import { Table } from "../table.js";
import { query } from "../api.js";
import { reason } from "../words.js";
import { setQuery } from "../router.js";

const LIMIT = 50;
const STATES = ["pending", "waiting", "running", "completed", "failed", "skipped", "cancelled"];

const columns = (jobId) => [
  { title: "Task", value: (task) => html`<a href=${to.task(jobId, task.id)}>${task.target}</a>`, grow: true },
  { title: "State", value: (task) => html`<${Chip} word=${task.state} />` },
  { title: "Waits for", value: (task) => reason(task.reason) || "–" },
  { title: "Attempts", value: (task) => count(task.attempt), number: true },
  { title: "Answer", value: (task) => task.http_status ?? "–", number: true },
  { title: "Took", value: (task) => millis(task.duration_ms), number: true },
  { title: "Size", value: (task) => bytes(task.bytes), number: true, wide: true },
  { title: "Cache", value: (task) => task.cache ?? "–", wide: true },
  { title: "Error", value: (task) => task.error ?? "–" },
];

export class Tasks extends Component {
  state = { marks: [] };

  choose = (event) => {
    this.setState({ marks: [] });
    setQuery(this.props.route, { state: event.target.value });
  };

  render({ route, beat }, { marks }) {
    const { state = "" } = route.query;
    const path = `jobs/${encodeURIComponent(route.id)}/tasks`;
    const asked = query({ state, limit: LIMIT, after: marks.at(-1) });
    return html`<${Panel} id="tasks" title="Tasks">
      <div class="filters">
        <label for="state">State</label>
        <select id="state" onChange=${this.choose} value=${state}>
          <option value="">all</option>
          ${STATES.map((each) => html`<option value=${each}>${each}</option>`)}
        </select>
      </div>
      <${Resource} path=${path + asked} beat=${beat} keep>${({ tasks, after }) => html`<${Fragment}>
        <${Table}
          caption="Tasks"
          hideCaption
          columns=${columns(route.id)}
          rows=${tasks}
          keyOf=${(task) => task.id}
          empty=${html`<${None} state=${state} more=${after} />`}
        />
        <${Pager}
          noun="task"
          shown=${tasks.length}
          onNewer=${marks.length ? () => this.setState({ marks: marks.slice(0, -1) }) : null}
          onOlder=${after ? () => this.setState({ marks: [...marks, after] }) : null}
        />
      <//>`}<//>
    <//>`;
  }
}

const None = ({ state, more }) =>
  html`<${Empty} title=${state ? `No task here is ${state}` : "No tasks yet"}>
    <p>${nextStep(state, more)}</p>
  <//>`;

function nextStep(state, more) {
  if (more) return "There may be some further on: see the next page.";
  return state ? "Choose another state, or all." : "The first follow when its start page has been read.";
}
