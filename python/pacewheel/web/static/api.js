// Requests to the JSON API. Every failure is an ApiError whose words can be shown as they are.
// Changes carry the session's CSRF token, which a restart of the server makes invalid: it is
// fetched anew once.

const BASE = "api/v1/";
const TIMEOUT_MS = 15_000;

export class ApiError extends Error {
  /** `code` is the API's own, or `unreachable` when no answer came; `status` is 0 then. */
  constructor(message, code, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

let session = null;

/** The session: its CSRF token, the server's version, whether a token is needed. */
export async function getSession({ anew = false } = {}) {
  if (anew || session === null) session = await request("session");
  return session;
}

export const get = (path) => request(path);

/** The parts of a query that have a value, as `?name=value`. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value != null);
  const text = new URLSearchParams(given).toString();
  return text ? `?${text}` : "";
}

/** Ask for a change. */
export async function post(path, body = {}) {
  const { csrf } = await getSession();
  try {
    return await change(path, body, csrf);
  } catch (error) {
    if (error.code !== "csrf") throw error;
    return change(path, body, (await getSession({ anew: true })).csrf);
  }
}

/** End this browser's session, and ask for the token again. */
export async function logOut() {
  await post("../../logout"); // which is no part of the API
  location.assign("login");
}

const change = (path, body, csrf) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Pacewheel-CSRF": csrf },
    body: JSON.stringify(body),
  });

async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(BASE + path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError("The server can't be reached.", "unreachable", 0);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  if (response.status === 401) location.assign(`login${location.hash}`); // it wants its token (again)
  const { message, code } = answer?.error ?? {};
  throw new ApiError(
    message ?? `The server answered ${response.status}.`,
    code ?? "unknown",
    response.status,
  );
}
