/** All that an error and its causes say, in one text: messages and codes. */
export function reasons(error: unknown): string {
  const said: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    said.push(at.message, "code" in at ? String(at.code) : "");
  }
  return said.join("\n");
}
