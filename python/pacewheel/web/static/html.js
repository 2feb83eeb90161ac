// The one door to the libraries that render: everything shown is built by `html`, which makes text
// of every value. No module of ours writes markup from data, so nothing needs to be escaped. What would
// turn the text around it about (marks of direction), or is a control character, is shown instead.

import { Component, Fragment, createElement, createRef, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

const OBEYED = /[\0-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const code = (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`;
const shown = (child) => (typeof child === "string" ? child.replace(OBEYED, code) : child);

export const html = htm.bind((type, props, ...children) => createElement(type, props, ...children.map(shown)));
export { Component, Fragment, createRef, render };
