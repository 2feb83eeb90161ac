// The one screen: is it healthy, what is it doing, why is it waiting, what binds; then over time,
// jobs, domains, and what the process did for it.

import { Fragment, html } from "../html.js";
import { capital, count, decimal, perMinute, seconds, share } from "../format.js";
import { Counts, Meter, Panel, Reasons } from "../parts.js";
import { HEALTH } from "../words.js";
import { Resource } from "../resource.js";
import { Charts } from "./charts.js";
import { JobTable } from "./jobs.js";
import { DomainTable } from "./domains.js";
import { NoJobs } from "./empty.js";
import { Cache, Database, Scaling, Transactions } from "./inside.js";

const JOBS = "jobs?live=true&limit=10";
const OLD_S = 5;
const NOT_KNOWN = "Not known yet";
const DOMAINS = "domains?sort=live&limit=10";

export function Overview({ overview, history, beat, act }) {
  if (!overview)
    return html`<div class="loading" role="status"><span>Waiting for the first figures…</span></div>`;
  return html`<${Fragment}>
    <h1 class="hidden">Overview</h1>
    <${Old} ageS=${overview.totals_age_s} />
    <div class="answers">
      <${Healthy} health=${overview.health} />
      <${Doing} overview=${overview} />
      <${Waits} totals=${overview.totals} />
      <${Binds} overview=${overview} />
    </div>
    <${Charts} history=${history} />
    <${Panel} id="jobs" title="Live jobs" note=${html`<a href="#/jobs">All jobs</a>`}>
      <${Resource} path=${JOBS} beat=${beat}>${({ jobs }) =>
        html`<${JobTable}
          jobs=${jobs}
          act=${act}
          beat=${beat}
          verdicts
          caption="Live jobs"
          empty=${html`<${NoJobs} />`}
        />`}<//>
    <//>
    <${Panel} id="domains" title="Busiest domains" note=${html`<a href="#/domains">All domains</a>`}>
      <${Resource} path=${DOMAINS} beat=${beat}>${({ domains }) =>
        html`<${DomainTable} domains=${domains} caption="Busiest domains" />`}<//>
    <//>
    <div class="columns">
      <div class="stack">
        <${Transactions} transactions=${overview.transactions} uptimeS=${overview.worker.uptime_s} />
        <${Scaling} scaling=${overview.scaling} slots=${overview.slots} />
      </div>
      <div class="stack">
        <${Cache} cache=${overview.cache} />
        <${Database} overview=${overview} />
      </div>
    </div>
  <//>`;
}

const Old = ({ ageS }) =>
  ageS > OLD_S &&
  html`<p class="notice warn" role="status">
    The database has not answered for ${seconds(Math.round(ageS))}: sums over jobs are that old.
  </p>`;

const Answer = ({ id, question, tone = "", headline, children }) =>
  html`<section class=${`answer ${tone}`} aria-labelledby=${id}>
    <h2 id=${id}>${question}</h2>
    <p class="headline">${headline}</p>
    ${children}
  </section>`;

const TONES = { ok: "good", warning: "warn", failing: "bad" };

function Healthy({ health }) {
  const { state, findings } = health;
  return html`<${Answer} id="healthy" question="Is it healthy?" tone=${TONES[state]} headline=${HEALTH[state]}>
    ${
      findings.length === 0
        ? html`<p class="soft">Nothing needs your attention.</p>`
        : html`<ul class="findings">
          ${findings.map(
            ({ check, level, words, meaning, next_step: step }) => html`<li key=${check + words} class=${TONES[level]}>
              <b>${capital(check)}: ${words}</b><span>${capital(meaning)}; ${step}.</span>
            </li>`,
          )}
        </ul>`
    }
  <//>`;
}

function Doing({ overview: { totals, rates, slots } }) {
  const perS = rates.attempts_per_s ?? rates.completed_per_s;
  return html`<${Answer}
    id="doing"
    question="What is it doing?"
    headline=${perS || totals?.running ? html`${decimal(perS)}<small> attempts a second</small>` : resting(totals)}
  >
    <${Counts}
      values=${[
        ["Live jobs", count(totals?.jobs_active)],
        ["Running", count(totals?.running)],
        ["Pending", count(totals?.pending)],
        ["Waiting", count(totals?.waiting)],
        ["Completed", count(totals?.completed)],
        ["Failed", count(totals?.failed), totals?.failed ? "bad" : ""],
        ["Claimed/min", perMinute(rates.claimed_per_s)],
        ["Done/min", perMinute(rates.completed_per_s)],
        ["Failed/min", perMinute(rates.failed_per_s)],
      ]}
    />
    <p class="soft aside">Of live jobs; rates of this process.</p>
    <${Meter} label="Slots of this process in use" value=${slots.busy} max=${slots.size} />
  <//>`;
}

/** Why no attempt is made. */
const resting = (totals) => (totals ? (totals.live ? "Nothing right now" : "Idle") : NOT_KNOWN);

function Waits({ totals }) {
  if (!totals) return html`<${Answer} id="waits" question="Why is it waiting?" headline=${NOT_KNOWN} />`;
  const counts = totals.waiting_by_reason;
  const waiting = Object.values(counts).reduce((sum, tasks) => sum + tasks, 0);
  const words = html`${count(waiting)}<small> ${waiting === 1 ? "task waits" : "tasks wait"}</small>`;
  return html`<${Answer} id="waits" question="Why is it waiting?" headline=${waiting ? words : "Nothing waits"}>
    ${
      waiting
        ? html`<${Reasons} counts=${counts} />`
        : html`<p class="soft">${totals.running ? "Every live task runs." : "There is no live task."}</p>`
    }
  <//>`;
}

function Binds({ overview: { binds, pool, process } }) {
  return html`<${Answer} id="binds" question="What binds?" headline=${capital(binds.words)}>
    <p class="soft">${capital(binds.basis)}.</p>
    <${Meter} label="Connections in use" value=${pool.busy} max=${pool.limit} warnAt=${0.9} />
    <${Meter}
      label="Processor, of one core"
      value=${process.cpu_ratio}
      max=${1}
      words=${share(process.cpu_ratio)}
      warnAt=${0.8}
    />
  <//>`;
}
