// What the engine's closed sets of words mean to people. An unknown word is shown as it is.

export const REASONS = {
  domain_delay: "Pace of the site",
  concurrency_limit: "Limit of the job",
  worker_capacity: "No free slot",
  retry_backoff: "Retry later",
  scheduled: "Scheduled",
  domain_blocked: "Site asked for a pause",
  job_paused: "Job is paused",
};

const VERDICTS = {
  domain_delay: "The site's pace",
  concurrency_limit: "The job's limit",
  worker_capacity: "Worker slots",
  domain_blocked: "Pauses the site asked for",
  retry_backoff: "Retries",
  server_latency: "The site's answers",
  database: "The database",
};

const BLOCKS = {
  retry_after: "its answers asked for a pause",
  circuit_open: "too many requests in a row have failed",
  asked: "a handler asked for a pause",
};

const TONES = {
  running: "accent",
  completed: "good",
  failed: "bad",
  paused: "warn",
  waiting: "warn",
  dead: "bad",
  draining: "warn",
  active: "good",
  ok: "good",
  warning: "warn",
  failing: "bad",
};

export const HEALTH = { ok: "Healthy", warning: "Needs attention", failing: "Failing" };

export const reason = (word) => (word ? (REASONS[word] ?? word) : "");
export const verdictWords = (word) => (word ? (VERDICTS[word] ?? word) : "");
export const blockWords = (word) => BLOCKS[word] ?? word;
export const tone = (word) => TONES[word] ?? "plain";
