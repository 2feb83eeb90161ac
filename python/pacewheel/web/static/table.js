// The one place that renders tables. On a narrow screen a row becomes a card (in CSS) unless the table
// is dense (that one scrolls, by keyboard too). So every cell carries its column's title, and the roles
// are spelled out: a changed display would lose them.
//
// A column: { title, value: row => shown, sort (the API's name of the order), rising (its direction) },
// and how it looks: number (to the right), grow (takes the room left), whole (never broken), wide (left
// out on a narrow screen). The first column is the row's header.

import { html } from "./html.js";

export function Table({ caption, hideCaption, columns, rows, keyOf, sort, onSort, empty, dense }) {
  if (rows.length === 0 && empty) return empty;
  return html`<div class="scroll" role="group" aria-label=${caption} tabindex=${dense ? "0" : null}>
    <table role="table" class=${dense ? "dense" : "cards"}>
      <caption class=${hideCaption ? "hidden" : ""}>${caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          ${columns.map((column) => html`<${Heading} column=${column} sort=${sort} onSort=${onSort} />`)}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map(
          (row, index) => html`<tr role="row" key=${keyOf ? keyOf(row) : index}>
            ${columns.map((column, place) => cell(column, row, place))}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Heading({ column, sort, onSort }) {
  const { title, sort: order } = column;
  const sorted = order && sort === order;
  return html`<th
    role="columnheader"
    scope="col"
    class=${kind(column)}
    aria-sort=${order && onSort ? (sorted ? (column.rising ? "ascending" : "descending") : "none") : null}
  >
    ${
      order && onSort
        ? html`<button type="button" class="sort" onClick=${() => onSort(order)}>
          ${title}<span aria-hidden="true">${sorted ? (column.rising ? " ↑" : " ↓") : ""}</span>
        </button>`
        : title
    }
  </th>`;
}

function cell(column, row, place) {
  const shown = column.value(row);
  if (place === 0) return html`<th role="rowheader" scope="row" class=${kind(column)}>${shown}</th>`;
  return html`<td role="cell" class=${kind(column)} data-title=${column.title}>${shown}</td>`;
}

const kind = ({ number, wide, grow, whole }) =>
  [number && "number", wide && "wide", grow && "grow", whole && "whole"].filter(Boolean).join(" ");
