// What test support has open in this process: servers, proxies, children, clients. A test that leaves one open fails
// (leaks.ts), and what it left is disposed of.
export interface Resource {
  readonly name: string;
  dispose(): Promise<void>;
}

const open = new Set<Resource>();

export function opened(resource: Resource): void {
  open.add(resource);
}

export function closed(resource: Resource): void {
  open.delete(resource);
}

/** In the order in which they were opened. */
export function openResources(): Resource[] {
  return [...open];
}
