// An inspector behind a server of this process, as an application mounts it.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInspector, type Inspector, type InspectorOptions, toNodeHandler } from "../../../src/ui.js";
import { closed, opened } from "../../support/resources.js";

export interface ServedInspector extends AsyncDisposable {
  readonly inspector: Inspector;
  /** Without a slash at its end. */
  readonly url: string;
}

export async function serveInspector(options: InspectorOptions): Promise<ServedInspector> {
  const inspector = createInspector(options);
  const server = createServer(toNodeHandler(inspector.handle));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const dispose = async (): Promise<void> => {
    const ended = once(server, "close");
    server.close();
    server.closeAllConnections();
    await ended;
    await inspector.close();
    closed(served);
  };
  const served = {
    name: `an inspector at port ${port}`,
    inspector,
    url: `http://127.0.0.1:${port}`,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
  opened(served);
  return served;
}
