// How charts look: plain SVG, no browser needed, for a light page and for a dark one.

/** `extra` and `extraDark`: rules of the chart's own. */
export function svg(
  title: string,
  size: { readonly width: number; readonly height: number },
  note: string,
  styles: { readonly extra: string; readonly extraDark: string },
  body: string,
): string {
  const { width, height } = size;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">
<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-size: 16px; font-weight: 600 } .panel { font-weight: 600 } .note { font-size: 11px; fill: #57606a }
${styles.extra}
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 } ${styles.extraDark}
}
</style>
<text class="title" x="0" y="20">${escapeXml(title)}</text>
${body}
<text class="note" x="0" y="${height - 6}">${escapeXml(note)}</text>
</svg>
`;
}

export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
