// A run that was flat, as samples: with the noise and the faults of a real one. A test doctors it.
import type { ClientSample, Sample, ServerSample, SoakRun } from "../../soak/samples.js";
import { randomFrom } from "../../support/random.js";

const MINUTES = 60;
const SAMPLES = 240;
const TABLES = ["counters", "leases", "sessions", "shares", "waiters"];

/** `doctor` is given each sample, and how far the run has come: from 0 to 1. */
export function makeRun(doctor: (sample: Doctored, at: number) => void = () => {}, minutes: number = MINUTES): SoakRun {
  const random = randomFrom(7);
  const near = (value: number, share: number) => value * (1 + share * (2 * random() - 1));
  const samples = Array.from({ length: SAMPLES }, (_, index): Sample => {
    const at = (index + 1) / SAMPLES;
    const isDisturbed = random() < 0.08;
    const client = (worker: number): ClientSample => ({
      worker,
      rssMb: near(90, 0.08),
      externalMb: near(3.6, 0.1),
      descriptors: 26 + Math.floor(random() * 3),
      listeners: Math.floor(random() * 6),
      timers: isDisturbed ? 200 : 20 + Math.floor(random() * 10),
      heapMb: index % 6 === 0 ? near(18, 0.04) : null,
    });
    const server: ServerSample = {
      startedAt: at < 0.12 ? 1 : at < 0.62 ? 2 : 3,
      privateMb: near(150, 0.05),
      proportionalMb: near(160, 0.05),
      connections: isDisturbed ? 9 : 12,
      // a checkpoint every fourth sample
      walBytes: index * 200_000 + Math.floor(index / 4) * 300_000,
      databaseMb: near(14, 0.02),
      notifyQueue: 0,
      rows: { leases: 900, shares: 10, waiters: isDisturbed ? 60 : 4, sessions: 5, counters: 4 + Math.floor(at * 40) },
      tables: TABLES.map((table) => ({
        table,
        tableKb: table === "counters" ? 100 + 800 * at : 320,
        indexesKb: 96,
        deadRows: Math.floor(random() * 700),
      })),
    };
    const sample: Doctored = {
      atS: Math.round(at * minutes * 60),
      clients: [client(1), client(2)],
      server: isDisturbed && random() < 0.2 ? null : server,
      cycle: { p50: near(8, 0.3), p99: isDisturbed ? 900 : near(40, 0.5) },
      handover: { p50: near(6, 0.3), p99: isDisturbed ? 2_000 : near(30, 0.5) },
      floor: { p50: near(4, 0.3), p99: near(20, 0.5) },
      done: Math.round(near(400, 0.1)),
      grants: 350,
      skipped: 0,
      errors: isDisturbed ? { unavailable: 12, "lease-lost": 2 } : {},
      machineLoad: 1,
    };
    doctor(sample, at);
    return sample;
  });
  return {
    about: {
      ...{
        date: "2026-01-31",
        commit: "0123abc",
        node: "v20.19.0",
        postgres: "18.4",
        machine: "2 processors",
        processors: 2,
      },
      ...{ minutes, rate: 80, seed: 42, workers: 4, loadBefore: 0.1 },
    },
    samples,
    faults: [{ atS: 430, what: "restart" }],
    explainedRows: { leases: 3_000, counters: 60 },
    problems: [],
  };
}

export type Doctored = { -readonly [Name in keyof Sample]: Sample[Name] };

/** Changes what the clients say. */
export function ofClients(change: (client: ClientSample) => Partial<ClientSample>): (sample: Doctored) => void {
  return (sample) => {
    sample.clients = sample.clients.map((client) => ({ ...client, ...change(client) }));
  };
}

/** Changes what the server says. */
export function ofServer(sample: Doctored, change: (server: ServerSample) => Partial<ServerSample>): void {
  if (sample.server !== null) sample.server = { ...sample.server, ...change(sample.server) };
}
