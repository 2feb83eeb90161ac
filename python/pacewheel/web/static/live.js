// The server's events: one `overview` about a second. Knows whether they still come.
//
// A connection that ends, or from which nothing has come for SILENCE_MS, is lost: it is opened anew
// after a pause that grows to PAUSE_MAX_MS, until it works. Whoever watches hears of both. A page that
// nobody sees (another tab is in front) has none: browsers keep few connections to one server.

const PATH = "api/v1/events";
const SILENCE_MS = 10_000;
const PAUSE_MIN_MS = 500;
const PAUSE_MAX_MS = 5_000;

export class Live {
  /**
   * `onOverview(overview)` with each event, `onState(connected)` when that changes, `onPause()` each
   * time that events have been missed, or that no connection could be had.
   */
  constructor({ onOverview, onState, onPause }) {
    this.onOverview = onOverview;
    this.onState = onState;
    this.onPause = onPause;
    this.connected = null;
    this.pauseMs = PAUSE_MIN_MS;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return this.close();
      this.onPause();
      return this.open();
    });
    if (!document.hidden) this.open();
  }

  open() {
    this.source = new EventSource(PATH);
    this.source.addEventListener("overview", (event) => {
      this.pauseMs = PAUSE_MIN_MS;
      this.watch();
      this.tell(true);
      this.onOverview(JSON.parse(event.data));
    });
    this.source.addEventListener("error", () => this.lost());
    this.watch();
  }

  close() {
    clearTimeout(this.watchdog);
    clearTimeout(this.again);
    this.source?.close();
  }

  watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.lost(), SILENCE_MS);
  }

  lost() {
    this.close();
    this.tell(false);
    this.onPause();
    this.again = setTimeout(() => this.open(), this.pauseMs * (0.75 + Math.random() / 2));
    this.pauseMs = Math.min(2 * this.pauseMs, PAUSE_MAX_MS);
  }

  tell(connected) {
    if (connected === this.connected) return;
    this.connected = connected;
    this.onState(connected);
  }
}
