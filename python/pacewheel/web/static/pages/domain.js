// One domain: its delay and what it is made of, when the next request may start, and its jobs.

import { Fragment, html } from "../html.js";
import { count, millis, share } from "../format.js";
import { Chip, Counts, Crumbs, Panel } from "../parts.js";
import { Resource } from "../resource.js";
import { Table } from "../table.js";
import { setDelay } from "../actions.js";
import { JobTable } from "./jobs.js";
import { lastRefusal, nextSlot } from "./domains.js";
import { WaitingTable } from "./waiting.js";
import { blockWords } from "../words.js";
import { NoJobs } from "./empty.js";

export const Domain = ({ route, beat, act }) =>
  html`<${Resource} path=${`domains/${encodeURIComponent(route.name)}`} beat=${beat}>${(
    found,
  ) => html`<${Fragment}>
    <${Crumbs} trail=${[
      ["Overview", "#/"],
      ["Domains", "#/domains"],
    ]} />
    <${Head} domain=${found.domain} act=${act} />
    <${Delay} domain=${found.domain} />
    <${Panel} id="jobs" title="Its jobs" note=${html`<${AllJobs} domain=${found.domain} />`}>
      <${JobTable} jobs=${found.jobs} act=${act} hide="Site" caption="Its jobs" empty=${html`<${NoJobs} />`} />
    <//>
    <${Panel} id="waiting" title="Why its tasks wait"><${WaitingTable} waiting=${found.waiting} withJob /><//>
  <//>`}<//>`;

const blockedFor = (leftMs) => (leftMs > 0 ? `Nothing starts for ${millis(leftMs)}` : "The next request is a trial");

const AllJobs = ({ domain }) =>
  html`<a href=${`#/jobs?all=1&domain=${encodeURIComponent(domain.name)}`}>See them all</a>`;

function Head({ domain, act }) {
  const blocked = domain.blocked_in_ms !== null;
  const title = html`${domain.name} ${blocked && html`<${Chip} word="blocked" kind="warn" />`}`;
  const button = html`<button type="button" onClick=${() => act(setDelay(domain))}>Set delay</button>`;
  return html`<${Panel} id="title" level=${1} title=${title} note=${button} className="hero">
    ${
      blocked &&
      html`<p class="notice warn">
      ${blockedFor(domain.blocked_in_ms)}: ${blockWords(domain.block_reason)}.
    </p>`
    }
    <${Counts}
      values=${[
        ["Delay now", millis(domain.gap_ms)],
        ["Next slot", nextSlot(domain)],
        ["In flight", count(domain.running)],
        ["Pending", count(domain.pending)],
        ["Waiting", count(domain.waiting)],
        ["Failures in a row", count(domain.failures)],
        ["Last 429 or 503", lastRefusal(domain)],
        ["Pace used", share(domain.pace_used)],
        ["Worker", domain.owner ?? "none"],
      ]}
    />
  <//>`;
}

const PARTS = [
  ["base_delay_ms", "Asked for by users"],
  ["robots_delay_ms", "Crawl-delay of robots.txt"],
  ["adaptive_delay_ms", "Learnt from 429 and 503"],
  ["latency_delay_ms", "Given by response times"],
];

const COLUMNS = [
  { title: "Part", value: (row) => row.words, grow: true },
  { title: "Delay", value: (row) => millis(row.delayMs), number: true },
  { title: "Holds", value: (row) => (row.holds ? html`<${Chip} word="this one" kind="accent" />` : "") },
];

function Delay({ domain }) {
  const known = PARTS.filter(([name]) => domain[name] !== undefined && domain[name] !== null);
  const longest = Math.max(...known.map(([name]) => domain[name]));
  const rows = known.map(([name, words]) => ({
    words,
    delayMs: domain[name],
    holds: longest > 0 && domain[name] === longest,
  }));
  return html`<${Panel} id="delay" title="What its delay is made of" note="The longest part holds.">
    <${Table}
      caption="Parts of the delay"
      hideCaption
      dense
      columns=${COLUMNS}
      rows=${rows}
      keyOf=${(row) => row.words}
    />
  <//>`;
}
