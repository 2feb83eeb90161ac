// The one dialog: what is asked to happen, what will become of it, and its answer when it fails.
// A <dialog> of the browser: it keeps the focus inside, Escape closes it, and the focus returns to
// where it was.

import { Component, createRef, html } from "./html.js";
import { ApiError } from "./api.js";
import { capital } from "./format.js";

export class Dialog extends Component {
  // props.action: { title, text, confirm, danger, field: { label, hint, ...of the input }, run }
  // props.onDone(words) after success, props.onClose() in any case
  state = { error: null, busy: false };
  box = createRef();
  input = createRef();

  componentDidMount() {
    this.origin = document.activeElement;
    this.box.current.showModal();
    this.input.current?.select();
  }

  componentWillUnmount() {
    const back = this.origin?.isConnected ? this.origin : document.getElementById("main");
    back.focus();
  }

  close = () => this.box.current.close();

  submit = async (event) => {
    event.preventDefault();
    if (this.state.busy) return;
    const { action, onDone } = this.props;
    this.setState({ busy: true, error: null });
    try {
      const { words } = await action.run(this.input.current?.valueAsNumber);
      onDone(`${capital(words)}.`);
      this.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.setState({ busy: false, error: error.message });
    }
  };

  render({ action, onClose }, { error, busy }) {
    const { title, text, confirm, danger, field } = action;
    return html`<dialog
      ref=${this.box}
      onClose=${onClose}
      aria-labelledby="dialog-title"
      aria-describedby="dialog-text"
    >
      <form onSubmit=${this.submit}>
        <h2 id="dialog-title">${title}</h2>
        <p id="dialog-text">${text}</p>
        ${field && html`<${Field} field=${field} input=${this.input} />`}
        ${error && html`<p class="error" role="alert">${error}</p>`}
        <div class="buttons">
          <button type="button" onClick=${this.close}>Keep as it is</button>
          <button type="submit" class=${danger ? "danger" : "primary"} aria-disabled=${busy}>
            ${busy ? "Working…" : confirm}
          </button>
        </div>
      </form>
    </dialog>`;
  }
}

function Field({ field, input }) {
  const { label, hint, ...attributes } = field;
  return html`<div class="field">
    <label for="dialog-field">${label}</label>
    <input id="dialog-field" type="number" required ref=${input} aria-describedby="dialog-hint" ...${attributes} />
    <small id="dialog-hint">${hint}</small>
  </div>`;
}
