// The one door to the libraries that render: everything shown is built by `html`, which makes text
// of every value. No module of ours writes markup from data, so nothing needs to be escaped.

import { Component, Fragment, createElement, createRef, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(createElement);
export { Component, Fragment, createRef, render };
