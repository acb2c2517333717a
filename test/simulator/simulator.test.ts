// Random rooms of every version, each decided by a seed; see simulate.ts for model, strategy and invariants.
//
//   STATEROOM_SIM_ROOMS=2000 npm test -- simulator      so many rooms of each version
//   STATEROOM_SIM_SEED=5000 npm test -- simulator       beginning with this seed
//   STATEROOM_SIM_SEED=10/5017 npm test -- simulator    only version 10's room of seed 5017: a replay

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOM_VERSIONS } from '../../src/event/rules.js';
import type { RoomReport } from './check.js';
import { replayable, seedsOf } from './seeds.js';
import { simulate } from './simulate.js';

const test = suite('simulated rooms');

function total(reports: readonly RoomReport[], field: keyof RoomReport): number {
  return reports.reduce((sum, report) => sum + report[field], 0);
}

for (const rules of ROOM_VERSIONS) {
  const seeds = seedsOf(rules, 30);
  if (seeds.length === 0) continue;
  test(`version ${rules.version}: servers agree with each other and with the model in ${seeds.length} rooms`, async () => {
    const reports: RoomReport[] = [];
    for (const seed of seeds) {
      reports.push(await replayable('simulator/simulator', rules, seed, () => simulate(rules, String(seed))));
    }
    if (seeds.length < 20) return;
    for (const field of ['events', 'merges', 'rejected', 'softFailed', 'resolutions'] as const) {
      assert.ok(
        total(reports, field) >= seeds.length,
        `the rooms hold ${field}, so that something was tested`,
      );
    }
  });
}

test.run();
