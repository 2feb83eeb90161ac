// Something of the API on the screen: read when it appears, again with the server's beat, and shown
// as it was when a later reading fails, which is said. Its first reading may fail too, and says what to
// do then.

import { ApiError, get } from "./api.js";
import { UNKNOWN, clock } from "./format.js";
import { Component, Fragment, html } from "./html.js";
import { Empty } from "./parts.js";

/** The event after which everything shown is read anew. */
export const CHANGED = "pacewheel-changed";

const EVERY_MS = 2_000;

export class Resource extends Component {
  // props: path, beat (changes about once a second), children: data => shown; everyMs(data) between two
  // readings at least; keep what was shown while another path is read; quiet: nothing to be read is
  // no event, as in a table's cell
  state = { data: null, error: null };
  readAt = 0;
  reading = 0;

  componentDidMount() {
    window.addEventListener(CHANGED, this.read);
    this.read();
  }

  componentWillUnmount() {
    window.removeEventListener(CHANGED, this.read);
    this.reading = -1; // what is on its way has nobody to tell
  }

  componentDidUpdate(before) {
    if (before.path !== this.props.path) this.read();
    else if (before.beat !== this.props.beat && this.isDue()) this.read();
  }

  isDue() {
    const { everyMs = () => EVERY_MS } = this.props;
    return !this.isReading && performance.now() - this.readAt >= everyMs(this.state.data);
  }

  read = async () => {
    const number = ++this.reading;
    const { path } = this.props;
    this.isReading = true;
    this.readAt = performance.now();
    let next;
    try {
      next = { data: await get(path), dataPath: path, dataAt: Date.now(), error: null };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      next = { error, errorPath: path };
    }
    if (number !== this.reading) return;
    this.isReading = false;
    this.setState(next);
  };

  render({ path, children, keep, quiet }, { data, dataPath, dataAt, error, errorPath }) {
    const failed = error !== null && errorPath === path;
    const known = dataPath === path ? !(failed && error.status === 404) : keep && data !== null && !failed;
    if (known) {
      const note = failed && !quiet && html`<${AsItWas} at=${dataAt} error=${error} />`;
      return html`<${Fragment}>${note}${children(data)}<//>`; // the same tree with and without the note
    }
    if (quiet) return UNKNOWN;
    if (failed) return html`<${Failed} error=${error} retry=${this.read} />`;
    return html`<div class="loading" role="status"><span>Loading…</span></div>`;
  }
}

/** That the whole server is lost is said above all pages. */
const AsItWas = ({ at, error }) =>
  error.status > 0 &&
  html`<p class="notice warn" role="status">
    As it was at ${clock(at)}; it can't be read anew: ${error.message}
  </p>`;

function Failed({ error, retry }) {
  if (error.status === 404) {
    return html`<${Empty} title="Not found">
      <p>${error.message}</p>
      <p><a href="#/">Back to the overview</a></p>
    <//>`;
  }
  return html`<div class="empty bad" role="alert">
    <p class="title">This can't be shown now</p>
    <p>${error.message}</p>
    <p><button type="button" onClick=${retry}>Try again</button></p>
  </div>`;
}
