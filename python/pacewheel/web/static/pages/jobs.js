// Jobs: the table that the overview shows too, and the page with all of them.

import { Component, Fragment, html } from "../html.js";
import { UNKNOWN, ago, count, seconds } from "../format.js";
import { Chip, Empty, Pager, Panel, Progress, to } from "../parts.js";
import { Resource } from "../resource.js";
import { Table } from "../table.js";
import { query } from "../api.js";
import { FINAL, actionsOf } from "../actions.js";
import { reason, verdictWords } from "../words.js";
import { setQuery } from "../router.js";
import { NoJobs } from "./empty.js";

const LIMIT = 50;
// A verdict is kept by the server for seconds; the first one takes a while.
const verdictMs = (found) => (found?.verdict ? 10_000 : 2_000);

const columns = (act, verdicts, beat) =>
  [
    { title: "Job", value: (job) => html`<a href=${to.job(job.id)}>${job.id}</a>` },
    { title: "Site", value: (job) => html`<a href=${to.domain(job.domain)}>${job.domain}</a>`, grow: true },
    { title: "State", value: (job) => html`<${Chip} word=${job.status} />` },
    { title: "Progress", value: (job) => html`<${Progress} job=${job} />` },
    { title: "Tasks", value: (job) => count(job.total), number: true },
    { title: "Running", value: (job) => count(job.running), number: true, wide: true },
    { title: "Failed", value: (job) => failed(job), number: true },
    { title: "Ends", value: (job) => etaWords(job), number: true },
    { title: "Waits for", value: (job) => reason(job.waiting_reason) || "–", whole: true },
    verdicts && {
      title: "Bound by",
      value: (job) => html`<${Verdict} job=${job} beat=${beat} />`,
      whole: true,
      wide: true,
    },
    { title: "Actions", value: (job) => html`<${Actions} job=${job} act=${act} />`, whole: true },
  ].filter(Boolean);

const failed = (job) =>
  job.failed
    ? html`<a class="mark bad" href=${`${to.job(job.id)}?state=failed`}>${count(job.failed)}</a>`
    : "0";

export const isFinal = (job) => FINAL.includes(job.status);

/** What is known of a job's end. */
export function etaWords(job, eta = job.eta) {
  if (isFinal(job)) return ago(job.finished_at);
  return html`<span title=${eta?.basis}>${eta?.seconds == null ? UNKNOWN : `in ${seconds(eta.seconds)}`}</span>`;
}

/** What bound a job so far: read of its results, so seldom, and by the overview alone. */
const Verdict = ({ job, beat }) =>
  html`<${Resource} path=${`jobs/${job.id}`} beat=${beat} everyMs=${verdictMs} quiet>${({ verdict: found }) =>
    html`<span title=${found?.basis}>${verdictWords(found?.verdict) || "–"}</span>`}<//>`;

export const JobTable = ({ jobs, act, caption, empty, verdicts, beat, hide }) =>
  html`<${Table}
    caption=${caption}
    hideCaption
    columns=${columns(act, verdicts, beat).filter(({ title }) => title !== hide)}
    rows=${jobs}
    keyOf=${(job) => job.id}
    empty=${empty}
  />`;

/** The buttons of what can be done to a job: all on its page, the ones often needed in a table. */
export const Actions = ({ job, act, full }) =>
  html`<span class="actions">
    ${actionsOf(job)
      .filter(({ rare }) => full || !rare)
      .map(
        ({ words, kind, action }) => html`<button
        type="button"
        class=${`small ${kind ?? ""}`}
        aria-label=${full ? null : `${words}: job ${job.id}`}
        onClick=${() => act(action)}
      >
        ${words}
      </button>`,
      )}
  </span>`;

export class Jobs extends Component {
  state = { before: [] };

  filter = (changes) => {
    this.setState({ before: [] });
    setQuery(this.props.route, changes);
  };

  render({ route, beat, act }, { before }) {
    const { all, domain = "" } = route.query;
    const path = `jobs${query({ live: !all, domain, limit: LIMIT, before: before.at(-1) })}`;
    return html`<${Panel} id="title" level=${1} title="Jobs">
      <div class="filters">
        <label class="check">
          <input
            type="checkbox"
            checked=${Boolean(all)}
            onChange=${(e) => this.filter({ all: e.target.checked ? "1" : "" })}
          />
          Final jobs too
        </label>
        ${
          domain &&
          html`<span class="chip plain">${domain}</span>
          <button type="button" class="small" onClick=${() => this.filter({ domain: "" })}>All sites</button>`
        }
      </div>
      <${Resource} path=${path} beat=${beat} keep>${({ jobs, before: next }) => html`<${Fragment}>
        <${JobTable} jobs=${jobs} act=${act} caption="Jobs" empty=${all ? html`<${None} />` : html`<${NoJobs} />`} />
        <${Pager}
          noun="job"
          shown=${jobs.length}
          onNewer=${before.length ? () => this.setState({ before: before.slice(0, -1) }) : null}
          onOlder=${next ? () => this.setState({ before: [...before, next] }) : null}
        />
      <//>`}<//>
    <//>`;
  }
}

const None = () => html`<${Empty} title="No job at all"><p>The first one will stand here.</p><//>`;
