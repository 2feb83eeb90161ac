// What is said where there is nothing yet.

import { html } from "../html.js";
import { Empty } from "../parts.js";

export const NoJobs = () =>
  html`<${Empty} title="No live jobs">
    <p>Give it some work, then watch it here:</p>
    <pre tabindex="0"><code>pacewheel submit https://example.com</code></pre>
  <//>`;
