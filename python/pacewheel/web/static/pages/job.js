// One job: how far it is, when it ends, why it waits, what binds it, and its tasks.

import { Fragment, html } from "../html.js";
import { bytes, capital, count, day, millis, seconds, term } from "../format.js";
import { Chip, Counts, Crumbs, Facts, Panel, Progress, to } from "../parts.js";
import { Resource } from "../resource.js";
import { Actions, etaWords, isFinal } from "./jobs.js";
import { Tasks } from "./tasks.js";
import { WaitingTable } from "./waiting.js";
import { verdictWords } from "../words.js";

export const Job = ({ route, beat, act }) =>
  html`<${Resource} path=${`jobs/${encodeURIComponent(route.id)}`} beat=${beat}>${(
    found,
  ) => html`<${Fragment}>
    <${Crumbs} trail=${[
      ["Overview", "#/"],
      ["Jobs", "#/jobs"],
    ]} />
    <${Head} ...${found} act=${act} />
    <div class="columns">
      <div class="stack">
        <${Bound} verdict=${found.verdict} />
        ${
          !isFinal(found.job) &&
          html`<${Panel} id="waiting" title="Why its tasks wait"><${WaitingTable} waiting=${found.waiting} /><//>`
        }
      </div>
      <${Settings} job=${found.job} />
    </div>
    <${Results} summary=${found.summary} />
    <${Tasks} route=${route} beat=${beat} />
  <//>`}<//>`;

function Head({ job, eta, act }) {
  const title = html`Job ${job.id} <${Chip} word=${job.status} />`;
  const buttons = html`<${Actions} job=${job} act=${act} full />`;
  return html`<${Panel} id="title" level=${1} title=${title} className="hero" note=${buttons}>
    <p class="lead"><a href=${to.domain(job.domain)}>${job.domain}</a></p>
    ${job.error && html`<p class="error">${job.error}</p>`}
    <div class="big-progress"><${Progress} job=${job} thick /></div>
    <${Counts}
      values=${[
        [isFinal(job) ? "Ended" : "Ends", etaWords(job, eta)],
        ["Completed", count(job.completed), "good"],
        ["Failed", count(job.failed), job.failed ? "bad" : ""],
        ["Running", count(job.running)],
        ["Pending", count(job.pending)],
        ["Waiting", count(job.waiting)],
        ["Skipped", count(job.skipped)],
        ["All tasks", count(job.total)],
      ]}
    />
  <//>`;
}

function Bound({ verdict }) {
  const word = typeof verdict === "string" ? verdict : verdict?.verdict;
  return html`<${Panel} id="bound" title="What binds it">
    <p class="headline">${verdictWords(word) || "Nothing yet"}</p>
    <p>${capital(verdict?.basis) || "Too little has run to tell"}.</p>
    ${verdict?.gain && html`<p class="soft">${capital(verdict.gain)}.</p>`}
  <//>`;
}

function Results({ summary }) {
  if (!summary) return null;
  const words = (counts) => Object.entries(counts).map(([word, times]) => [term(word), count(times)]);
  return html`<${Panel} id="results" title="Results so far">
    <${Facts} facts=${[
      ["Requests", count(summary.requests)],
      ["Pages fetched", count(summary.ok)],
      ["Received", bytes(summary.bytes)],
      ["Answer, p50", millis(summary.p50_ms)],
      ["Answer, p95", millis(summary.p95_ms)],
      ...words(summary.statuses).map(([status, times]) => [`Answers ${status}`, times]),
      ...words(summary.errors).map(([error, times]) => [`Errors ${error}`, times]),
      ...words(summary.cache).map(([word, times]) => [`Cache: ${word.toLowerCase()}`, times]),
    ]} />
  <//>`;
}

function Settings({ job }) {
  return html`<${Panel} id="settings" title="Settings and times">
    <${Facts} facts=${[
      ["Priority", job.priority],
      ["Requests at once", count(job.concurrency)],
      ["Least gap now", millis(job.gap_ms)],
      ["Most pages", job.max_tasks === null ? "no limit" : count(job.max_tasks)],
      ["Discovery", job.discovery_open ? "goes on" : "finished"],
      ["Handler", html`<code>${job.handler}</code>`],
      ["Worker", job.owner ?? "none"],
      job.retries_job_id && [
        "Retries",
        html`<a href=${to.job(job.retries_job_id)}>job ${job.retries_job_id}</a>`,
      ],
      ["Created", day(job.created_at)],
      ["Started", day(job.started_at)],
      job.finished_at && ["Finished", day(job.finished_at)],
      job.finished_at && ["Took", seconds((Date.parse(job.finished_at) - Date.parse(job.created_at)) / 1000)],
    ]} />
  <//>`;
}
