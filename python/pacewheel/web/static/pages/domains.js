// Domains: the table that the overview shows too, and the page that finds one among many. Search,
// order and pages are the server's, so ten thousand cost no more than fifty.

import { Component, Fragment, html } from "../html.js";
import { UNKNOWN, ago, capital, count, millis, share } from "../format.js";
import { Empty, Pager, Panel, Used, to } from "../parts.js";
import { Resource } from "../resource.js";
import { Table } from "../table.js";
import { query } from "../api.js";
import { setQuery } from "../router.js";
import { blockWords } from "../words.js";

const LIMIT = 50;
const TYPING_MS = 250;

const link = ({ name }) => html`<a href=${to.domain(name)}>${name}</a>`;

const COLUMNS = [
  { title: "Domain", value: (d) => link(d), sort: "name", rising: true, grow: true },
  { title: "Delay now", value: (d) => millis(d.gap_ms), number: true, sort: "gap" },
  { title: "Next slot", value: (d) => nextSlot(d), number: true, sort: "next", rising: true },
  { title: "In flight", value: (d) => count(d.running), number: true },
  { title: "Live jobs", value: (d) => count(d.live_jobs), number: true, wide: true },
  { title: "Pending", value: (d) => count(d.pending), number: true, sort: "live" },
  { title: "Waiting", value: (d) => count(d.waiting), number: true },
  { title: "Last 429 or 503", value: (d) => lastRefusal(d), number: true, sort: "refused" },
  { title: "Pace used", value: (d) => paceUsed(d), number: true },
  { title: "Worker", value: (d) => d.owner ?? "–", number: true, wide: true },
];

const paceUsed = ({ pace_used: part }) =>
  part == null ? UNKNOWN : html`<${Used} part=${part} words=${share(part)} />`;

/** When the next request of a domain may start. */
export function nextSlot(domain) {
  if (domain.blocked_in_ms > 0) {
    const why = blockWords(domain.block_reason);
    return html`<span class="mark warn" title=${capital(why)}>${millis(domain.blocked_in_ms)}</span>`;
  }
  return domain.next_slot_in_ms > 0 ? millis(domain.next_slot_in_ms) : "now";
}

/** When the site last refused a request. */
export const lastRefusal = ({ refused_at: at, blocked_in_ms: left }) =>
  at ? html`<span class=${left > 0 ? "mark warn" : ""}>${ago(at)}</span>` : "–";

export const DomainTable = ({ domains, caption, sort, onSort, empty }) =>
  html`<${Table}
    caption=${caption}
    hideCaption
    columns=${COLUMNS}
    rows=${domains}
    keyOf=${(domain) => domain.name}
    sort=${sort}
    onSort=${onSort}
    empty=${empty ?? html`<${Empty} title="No domain has work"><p>Domains come with their first job.</p><//>`}
  />`;

export class Domains extends Component {
  state = { page: 0 };

  componentWillUnmount() {
    clearTimeout(this.typing);
  }

  change = (changes) => {
    this.setState({ page: 0 });
    setQuery(this.props.route, changes);
  };

  search = (event) => {
    const { value } = event.target;
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.change({ search: value.trim() }), TYPING_MS);
  };

  render({ route, overview, beat }, { page }) {
    const { search = "", all } = route.query;
    const sort = all ? "name" : (route.query.sort ?? "live");
    const path = `domains${query({ search, sort, live: !all, limit: LIMIT, offset: page * LIMIT })}`;
    const known = !search && !all ? overview?.totals?.domains_active : undefined;
    return html`<${Panel} id="title" level=${1} title="Domains">
      <div class="filters" role="search">
        <label for="search">Find a domain</label>
        <input id="search" type="search" defaultValue=${search} onInput=${this.search} placeholder="part of its name" />
        <label class="check">
          <input
            type="checkbox"
            checked=${Boolean(all)}
            onChange=${(e) => this.change({ all: e.target.checked ? "1" : "" })}
          />
          Those without work too
        </label>
        <label for="order" class="narrow">Order</label>
        <select
          id="order"
          class="narrow"
          disabled=${Boolean(all)}
          value=${sort}
          onChange=${(e) => this.change({ sort: e.target.value })}
        >
          ${COLUMNS.filter((each) => each.sort).map((each) => html`<option value=${each.sort}>${each.title}</option>`)}
        </select>
      </div>
      <${Resource} path=${path} beat=${beat} keep>${({ domains, offset }) => html`<${Fragment}>
        <p class="soft" role="status">${found(domains, known, page, search)}</p>
        <${DomainTable}
          domains=${domains}
          caption="Domains"
          sort=${sort}
          onSort=${all ? null : (order) => this.change({ sort: order })}
          empty=${search ? html`<${NoMatch} search=${search} />` : undefined}
        />
        <${Pager}
          noun="domain"
          shown=${`Page ${page + 1}`}
          onNewer=${page ? () => this.setState({ page: page - 1 }) : null}
          onOlder=${offset ? () => this.setState({ page: page + 1 }) : null}
        />
      <//>`}<//>
    <//>`;
  }
}

function found(domains, known, page, search) {
  if (domains.length === 0) return "";
  const first = page * LIMIT + 1;
  const range = `${count(first)} to ${count(first + domains.length - 1)}`;
  return range + (known > domains.length ? ` of ${count(known)}` : "") + (search ? ` with “${search}”` : "");
}

const NoMatch = ({ search }) =>
  html`<${Empty} title=${`No domain has “${search}” in its name`}>
    <p>Look for a shorter part of it, or clear the field to see all.</p>
  <//>`;
