/** Pages that others link to, and that are still being written. */
export const missingPages: readonly string[] = [
  "docs/faq.md",
  ...["poolers", "operations", "testing", "shutdown", "cron", "leader", "pglite"].map(
    (name) => `docs/guides/${name}.md`,
  ),
  ...["redlock", "redis-semaphore", "advisory-lock", "pg-advisory-lock", "etcd", "consul", "shedlock"].map(
    (name) => `docs/coming-from/${name}.md`,
  ),
];
