// What can be changed from here. Each is asked about first (dialog.js), then `run` asks the API, which
// checks everything again and says what came of it.

import { post } from "./api.js";
import { millis, plural } from "./format.js";

export const FINAL = ["completed", "failed", "cancelled"];

const live = (job) => job.pending + job.waiting + job.running;
const about = (job) => `job ${job.id} (${job.domain})`;

function pause(job) {
  return {
    title: `Pause job ${job.id}?`,
    text: `Nothing more of ${about(job)} starts until it is resumed. What runs now ends by itself.`,
    confirm: "Pause job",
    run: () => post(`jobs/${job.id}/pause`),
  };
}

function resume(job) {
  return {
    title: `Resume job ${job.id}?`,
    text: `Its ${plural(live(job), "task")} may start again, at the pace of ${job.domain}.`,
    confirm: "Resume job",
    run: () => post(`jobs/${job.id}/resume`),
  };
}

function cancel(job) {
  return {
    title: `Cancel job ${job.id}?`,
    text:
      `${about(job)} ends now, with ${plural(live(job), "live task")}. What runs is stopped. ` +
      "This can't be undone.",
    confirm: "Cancel job",
    danger: true,
    run: () => post(`jobs/${job.id}/cancel`),
  };
}

function retry(job) {
  const final = FINAL.includes(job.status);
  return {
    title: `Retry what failed of job ${job.id}?`,
    text:
      `${plural(job.failed, "failed task")} of ${job.domain} ` +
      (final ? "will run again in a new job like this one." : "will run again in this job."),
    confirm: "Retry failed tasks",
    run: () => post(`jobs/${job.id}/retry`),
  };
}

function reprioritise(job) {
  return {
    title: `Change the priority of job ${job.id}?`,
    text: `Jobs of ${job.domain} share its requests by priority: one more is eight times as many.`,
    confirm: "Change priority",
    field: {
      label: "Priority",
      hint: "Higher comes first; 0 is usual.",
      step: "any",
      defaultValue: job.priority,
    },
    run: (priority) => post(`jobs/${job.id}/priority`, { priority }),
  };
}

export function setDelay(domain) {
  return {
    title: `Set the delay of ${domain.name}?`,
    text:
      "The least time between two of its requests, for all its jobs. A longer Crawl-delay of its " +
      "robots.txt, or a longer pause it asks for, still holds.",
    confirm: "Set delay",
    field: {
      label: "Delay in milliseconds",
      hint: `Now ${millis(domain.base_delay_ms)}.`,
      min: 0,
      step: 1,
      defaultValue: domain.base_delay_ms,
    },
    run: (delay) => post(`domains/${encodeURIComponent(domain.name)}/delay`, { delay_ms: delay }),
  };
}

/** The actions that make sense in a job's state, with the words of their buttons. */
export function actionsOf(job) {
  const final = FINAL.includes(job.status);
  const paused = job.status === "paused";
  return [
    !final && !paused && { words: "Pause", action: pause(job) },
    paused && { words: "Resume", action: resume(job) },
    job.failed > 0 && { words: "Retry failed", action: retry(job), rare: !final },
    !final && { words: "Priority", action: reprioritise(job), rare: true },
    !final && { words: "Cancel", action: cancel(job), kind: "danger" },
  ].filter(Boolean);
}
