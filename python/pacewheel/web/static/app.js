// Puts it together: the page of the address, the live figures, the dialog, and what is said when the
// server is lost. All state that outlives a page is here.

import { Component, Fragment, html, render } from "./html.js";
import { Dialog } from "./dialog.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { ApiError, getSession, logOut } from "./api.js";
import { ago, clock, hearTime } from "./format.js";
import { Empty } from "./parts.js";
import { CHANGED } from "./resource.js";
import { routeOf } from "./router.js";
import { Overview } from "./pages/overview.js";
import { Jobs } from "./pages/jobs.js";
import { Job } from "./pages/job.js";
import { Task } from "./pages/task.js";
import { Domains } from "./pages/domains.js";
import { Domain } from "./pages/domain.js";
import { Workers } from "./pages/workers.js";

const PAGES = {
  overview: Overview,
  jobs: Jobs,
  job: Job,
  task: Task,
  domains: Domains,
  domain: Domain,
  workers: Workers,
};
const NAV = [
  ["#/", "Overview", ["overview"]],
  ["#/jobs", "Jobs", ["jobs", "job", "task"]],
  ["#/domains", "Domains", ["domains", "domain"]],
  ["#/workers", "Workers", ["workers"]],
];
const TITLES = { overview: "Overview", jobs: "Jobs", domains: "Domains", workers: "Workers" };
const SAID_MS = 6_000;
const THEMES = { auto: ["light", "Automatic"], light: ["dark", "Light"], dark: ["auto", "Dark"] };

class App extends Component {
  state = {
    route: routeOf(location.hash),
    overview: null,
    beat: 0,
    connected: null,
    since: null,
    action: null,
    said: "",
    session: null,
    theme: window.pacewheelTheme.get(),
  };
  history = new History();
  visits = 0;

  componentDidMount() {
    window.addEventListener("hashchange", this.go);
    this.live = new Live({ onOverview: this.update, onState: this.connection, onPause: this.begin });
    this.live.start();
    this.begin();
  }

  /** At the start, and whenever events were missed: who the server is, and what it remembers. */
  begin = async () => {
    try {
      const session = await getSession({ anew: true });
      await this.history.load();
      this.setState({ session });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error; // it is tried again with the next connection
    }
  };

  /** By a link a page begins anew, its fields too; a filter that it sets (setQuery) leaves it as it is. */
  go = ({ isTrusted: byLink }) => {
    const route = routeOf(location.hash);
    if (byLink) this.visits += 1;
    const moved = route.path !== this.state.route.path;
    this.setState({ route }, () => moved && arrive());
  };

  update = (overview) => {
    hearTime(overview.at);
    this.history.append(overview);
    this.setState(({ beat }) => ({ overview, beat: beat + 1 }));
  };

  connection = (connected) => {
    const before = this.state.connected;
    this.setState({ connected, since: connected ? null : (this.state.since ?? Date.now()) });
    if (connected && before === false) {
      this.begin();
      this.say("The server is back.");
    }
  };

  say = (said) => {
    clearTimeout(this.silence);
    this.setState({ said });
    this.silence = setTimeout(() => this.setState({ said: "" }), SAID_MS);
  };

  /** What an action came to: said, and whatever is shown is read anew. */
  done = (words) => {
    this.say(words);
    window.dispatchEvent(new Event(CHANGED));
  };

  act = (action) => this.setState({ action });

  leave = () => logOut().catch((error) => this.say(error.message));

  turn = () => {
    const [next] = THEMES[this.state.theme];
    window.pacewheelTheme.set(next);
    this.setState({ theme: next });
  };

  render(_, { route, overview, beat, connected, since, action, said, session, theme }) {
    const Page = PAGES[route.page] ?? Missing;
    document.title = `${titleOf(route)} · pacewheel`;
    return html`<${Fragment}>
      <${Header}
        route=${route}
        connected=${connected}
        session=${session}
        theme=${theme}
        turn=${this.turn}
        leave=${this.leave}
      />
      ${connected === false && html`<${Lost} since=${since} at=${overview?.at} />`}
      <main id="main" tabindex="-1" class=${connected === false ? "stale" : ""}>
        <${Page}
          key=${this.visits}
          route=${route}
          overview=${overview}
          history=${this.history}
          beat=${beat}
          session=${session}
          act=${this.act}
        />
      </main>
      <div class="said" role="status" aria-live="polite">${said && html`<p>${said}</p>`}</div>
      ${action && html`<${Dialog} action=${action} onDone=${this.done} onClose=${() => this.act(null)} />`}
    <//>`;
  }
}

function Header({ route, connected, session, theme, turn, leave }) {
  return html`<header class="top">
    <a class="brand" href="#/"><${Mark} />pacewheel</a>
    <nav aria-label="Pages">
      <ul>
        ${NAV.map(
          ([href, words, pages]) => html`<li>
            <a href=${href} aria-current=${pages.includes(route.page) ? "page" : null}>${words}</a>
          </li>`,
        )}
      </ul>
    </nav>
    <div class="top-end">
      <span class=${`live ${connected === true ? "on" : connected === false ? "off" : ""}`}>
        ${connected === true ? "Live" : connected === false ? "Lost" : "Connecting"}
      </span>
      ${session && html`<span class="version wide">${session.version}</span>`}
      ${session?.needs_token && html`<button type="button" class="small" onClick=${leave}>Log out</button>`}
      <button type="button" class="small" onClick=${turn} aria-label=${`Theme: ${THEMES[theme][1]}. Change it`}>
        ${THEMES[theme][1]}
      </button>
    </div>
  </header>`;
}

const Mark = () =>
  html`<svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true">
    <circle cx="12" cy="12" r="9.5" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="3.2 2.77" />
    <circle cx="12" cy="12" r="2" fill="currentColor" />
    <path d="M12 12 L16.5 7.5" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
  </svg>`;

class Lost extends Component {
  componentDidMount() {
    this.timer = setInterval(() => this.setState({}), 1000);
  }

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  render({ since, at }) {
    return html`<div class="lost">
      <p role="alert">The server can't be reached since ${clock(since)}. Reconnecting by itself.</p>
      <p aria-hidden="true">${at ? `These figures are of ${clock(at)}, ${ago(at)}.` : "No figures have come yet."}</p>
    </div>`;
  }
}

const Missing = () =>
  html`<section class="panel">
    <h1>No such page</h1>
    <${Empty} title="This address leads nowhere"><p><a href="#/">Go to the overview</a></p><//>
  </section>`;

function titleOf(route) {
  if (route.page === "job") return `Job ${route.id}`;
  if (route.page === "task") return `Task of job ${route.jobId}`;
  if (route.page === "domain") return route.name;
  return TITLES[route.page] ?? "No such page";
}

/** A new page begins at its top, for the eyes and for the keyboard. */
function arrive() {
  window.scrollTo(0, 0);
  document.getElementById("main").focus({ preventScroll: true });
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address's part after # names the page
  document.getElementById("main").focus();
});
render(html`<${App} />`, document.getElementById("app"));
