/** As SQL reads it. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replace(/'/g, "''")}'`;
  return text.includes("\\") ? `E${quoted.replace(/\\/g, "\\\\")}` : quoted;
}

/** As a shell reads it, and the command line that it starts: behind `--` nothing is an option. */
export function quoteArgument(text: string): string {
  if (/^[\w@%+=:,./][\w@%+=:,./-]*$/.test(text)) return text;
  const quoted = `'${text.replace(/'/g, "'\\''")}'`;
  return text.startsWith("-") ? `-- ${quoted}` : quoted;
}
