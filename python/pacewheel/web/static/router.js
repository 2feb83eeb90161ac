// Which page is shown, from the part of the address after #: one document serves all pages, and an
// address can be kept or sent.

const ROUTES = [
  [/^\/?$/, "overview", []],
  [/^\/jobs$/, "jobs", []],
  [/^\/jobs\/([^/]+)$/, "job", ["id"]],
  [/^\/jobs\/([^/]+)\/tasks\/([^/]+)$/, "task", ["jobId", "id"]],
  [/^\/domains$/, "domains", []],
  [/^\/domains\/([^/]+)$/, "domain", ["name"]],
  [/^\/workers$/, "workers", []],
];

/** The page of a hash such as `#/jobs/12?state=failed`: its name, its parts and its query. */
export function routeOf(hash) {
  const [path, search = ""] = hash.replace(/^#/, "").split("?");
  const values = Object.fromEntries(new URLSearchParams(search));
  for (const [pattern, page, names] of ROUTES) {
    const found = pattern.exec(path);
    if (found) {
      const parts = names.map((name, i) => [name, decoded(found[i + 1])]);
      return { page, path, query: values, ...Object.fromEntries(parts) };
    }
  }
  return { page: "missing", path, query: {} };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Change the query of the page that is shown, in place: a filter is no step of the history. */
export function setQuery(route, changes) {
  const given = Object.entries({ ...route.query, ...changes }).filter(([, value]) => value);
  const search = new URLSearchParams(given).toString();
  history.replaceState(null, "", `#${route.path || "/"}${search ? `?${search}` : ""}`);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
