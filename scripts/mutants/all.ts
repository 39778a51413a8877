import { advisoryLocks } from "./advisory-locks.js";
import { checker } from "./checker.js";
import { cli } from "./cli.js";
import { client } from "./client.js";
import { closing } from "./closing.js";
import { cluster } from "./cluster.js";
import { compatibility } from "./compatibility.js";
import { config } from "./config.js";
import { counters } from "./counters.js";
import { fences } from "./fences.js";
import { firstAttempts } from "./first-attempts.js";
import { grants } from "./grants.js";
import { guards } from "./guards.js";
import { handingOver } from "./handing-over.js";
import { inspector } from "./inspector.js";
import { instances } from "./instances.js";
import { leading } from "./leading.js";
import { leases } from "./leases.js";
import { libraries } from "./libraries.js";
import { loading } from "./loading.js";
import type { Mutant } from "./mutant.js";
import { retrying } from "./retrying.js";
import { rules } from "./rules.js";
import { sets } from "./sets.js";
import { sharedStores } from "./shared-stores.js";
import { shares } from "./shares.js";
import { sharing } from "./sharing.js";
import { sharingViews } from "./sharing-views.js";
import { soaking } from "./soaking.js";
import { sqlApi } from "./sql-api.js";
import { stores } from "./stores.js";
import { sweeper } from "./sweeper.js";
import { testing } from "./testing.js";
import { timing } from "./timing.js";
import { tls } from "./tls.js";
import { trust } from "./trust.js";
import { views } from "./views.js";
import { watch } from "./watch.js";

/** All mutations that are written by hand. */
export const all: readonly Mutant[] = [
  ...guards,
  ...inspector,
  ...instances,
  ...grants,
  ...firstAttempts,
  ...fences,
  ...leases,
  ...loading,
  ...client,
  ...libraries,
  ...counters,
  ...handingOver,
  ...leading,
  ...retrying,
  ...rules,
  ...sets,
  ...shares,
  ...sharing,
  ...sharingViews,
  ...sqlApi,
  ...sharedStores,
  ...stores,
  ...testing,
  ...sweeper,
  ...trust,
  ...views,
  ...watch,
  ...cli,
  ...closing,
  ...advisoryLocks,
  ...config,
  ...timing,
  ...tls,
  ...checker,
  ...cluster,
  ...compatibility,
  ...soaking,
];
