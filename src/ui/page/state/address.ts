/** The server of this page: where its script is from, however the address of the page itself ends. */
export function addressOf(path: string): string {
  return new URL(path, import.meta.url).href;
}
