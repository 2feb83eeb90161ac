// Small things that pages share: chips, meters, bars, panels, empty states, links to pages.

import { html } from "./html.js";
import { count, plural, share } from "./format.js";
import { REASONS, reason, tone } from "./words.js";

const part = (value) => encodeURIComponent(String(value));

export const to = {
  job: (id) => `#/jobs/${part(id)}`,
  task: (jobId, id) => `#/jobs/${part(jobId)}/tasks/${part(id)}`,
  domain: (name) => `#/domains/${part(name)}`,
};

export const Chip = ({ word, kind }) => html`<span class=${`chip ${kind ?? tone(word)}`}>${word}</span>`;

export function Panel({ title, note, level = 2, id, children, className = "" }) {
  return html`<section class=${`panel ${className}`} aria-labelledby=${id}>
    <div class="panel-head">
      ${level === 1 ? html`<h1 id=${id}>${title}</h1>` : html`<h2 id=${id}>${title}</h2>`}
      ${note && html`<div class="note">${note}</div>`}
    </div>
    ${children}
  </section>`;
}

/** Nothing to show: what that means, and the next step. */
export const Empty = ({ title, children }) =>
  html`<div class="empty"><p class="title">${title}</p>${children}</div>`;

/** A share of something bounded, as a bar with words. */
export function Meter({ label, value, max, words, warnAt = 2 }) {
  const part = max > 0 ? Math.min(1, value / max) : 0;
  return html`<div class="meter">
    <span class="label">${label}</span>
    <span class="figure">${words ?? `${count(value)} of ${count(max)}`}</span>
    <${Bar} parts=${[{ part, kind: part >= warnAt ? "warn" : "accent" }]} />
  </div>`;
}

/** The same in a table's cell. */
export const Used = ({ part, words }) =>
  html`<span class="used">${words}<${Bar} parts=${[{ part: Math.min(1, part), kind: "accent" }]} /></span>`;

/** A bar of parts, each a share of the whole; only decoration: the figures stand beside it. */
export const Bar = ({ parts, thick }) =>
  html`<span class=${thick ? "bar thick" : "bar"} aria-hidden="true">
    ${parts
      .filter(({ part }) => part > 0)
      .map(({ part, kind }) => html`<span class=${kind} style=${{ "--part": part }}></span>`)}
  </span>`;

/** How far a job is: a bar of its tasks by state, with the share that is settled. */
export function Progress({ job, thick }) {
  const settled = job.completed + job.failed + job.skipped + job.cancelled;
  const whole = Math.max(1, job.total);
  const parts = [
    { part: job.completed / whole, kind: "good" },
    { part: job.failed / whole, kind: "bad" },
    { part: (job.skipped + job.cancelled) / whole, kind: "mute" },
    { part: job.running / whole, kind: "accent" },
  ];
  return html`<span class="progress">
    <span class="figure">${job.total ? share(settled / whole) : "no tasks yet"}</span>
    <${Bar} parts=${parts} thick=${thick} />
  </span>`;
}

/** Tasks by the reason they wait for, the most first. */
export function Reasons({ counts }) {
  const rows = Object.entries(counts ?? {})
    .filter(([, tasks]) => tasks > 0)
    .sort((one, other) => other[1] - one[1]);
  const whole = rows.reduce((sum, [, tasks]) => sum + tasks, 0);
  return html`<ul class="reasons">
    ${rows.map(
      ([word, tasks]) => html`<li key=${word}>
        <span class="label">${reason(word)}</span>
        <span class="figure">${count(tasks)}</span>
        <${Bar} parts=${[{ part: tasks / whole, kind: word in REASONS ? word : "mute" }]} />
      </li>`,
    )}
  </ul>`;
}

/** Names and values, side by side. */
export const Facts = ({ facts }) =>
  html`<dl class="facts">
    ${facts.filter(Boolean).map(
      ([name, value, hint]) => html`<div key=${name}>
        <dt>${name}</dt>
        <dd>${value}${hint && html`<small>${hint}</small>`}</dd>
      </div>`,
    )}
  </dl>`;

/** A job's counters as sentences would be too long: five figures in a row. */
export const Counts = ({ values }) =>
  html`<dl class="counts">
    ${values.map(
      ([name, value, kind]) => html`<div key=${name} class=${kind ?? ""}>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`,
    )}
  </dl>`;

/** Where a list goes on. */
export function Pager({ shown, onNewer, onOlder, noun }) {
  if (!onNewer && !onOlder) return null;
  return html`<nav class="pager" aria-label=${`Pages of ${noun}s`}>
    <button type="button" disabled=${!onNewer} onClick=${onNewer}>Previous</button>
    <span>${typeof shown === "number" ? plural(shown, noun) : shown}</span>
    <button type="button" disabled=${!onOlder} onClick=${onOlder}>Next</button>
  </nav>`;
}

export const Crumbs = ({ trail }) =>
  html`<nav class="crumbs" aria-label="Breadcrumb">
    <ol>${trail.map(([words, href]) => html`<li><a href=${href}>${words}</a></li>`)}</ol>
  </nav>`;
