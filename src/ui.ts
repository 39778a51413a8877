export { type NodeHandler, toNodeHandler } from "./ui/http/node-handler.js";
export { createInspector, type Inspector } from "./ui/inspector.js";
export type { InspectorAct, InspectorOptions } from "./ui/options.js";
