// Random rooms of every version, each decided by a seed; see simulate.ts for model, strategy and invariants.
//
//   STATEROOM_SIM_ROOMS=2000 npm test -- simulator      so many rooms of each version
//   STATEROOM_SIM_SEED=5000 npm test -- simulator       beginning with this seed
//   STATEROOM_SIM_SEED=10/5017 npm test -- simulator    only version 10's room of seed 5017: a replay

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { ROOM_VERSIONS, type RoomVersionRules } from '../../src/event/rules.js';
import type { RoomReport } from './check.js';
import { simulate } from './simulate.js';

const test = suite('simulated rooms');

const rooms = Number(process.env['STATEROOM_SIM_ROOMS'] ?? 30);
const [, onlyVersion, firstSeed] =
  /^(?:([0-9]+)\/)?([0-9]+)$/.exec(process.env['STATEROOM_SIM_SEED'] ?? '1') ?? [];
if (firstSeed === undefined || !Number.isSafeInteger(rooms) || rooms < 1) {
  throw new Error('STATEROOM_SIM_SEED is a number or VERSION/NUMBER, STATEROOM_SIM_ROOMS a number above 0');
}

/** A failed run says how to see it again. */
async function run(rules: RoomVersionRules, seed: number): Promise<RoomReport> {
  try {
    return await simulate(rules, String(seed));
  } catch (error) {
    const replay = `STATEROOM_SIM_SEED=${rules.version}/${seed} npm test -- simulator`;
    if (error instanceof Error) error.message = `${error.message}\n    replay: ${replay}`;
    throw error;
  }
}

function total(reports: readonly RoomReport[], field: keyof RoomReport): number {
  return reports.reduce((sum, report) => sum + report[field], 0);
}

for (const rules of ROOM_VERSIONS) {
  if (onlyVersion !== undefined && onlyVersion !== rules.version) continue;
  const count = onlyVersion === undefined ? rooms : 1;
  test(`version ${rules.version}: servers agree with each other and with the model in ${count} rooms`, async () => {
    const reports: RoomReport[] = [];
    for (let i = 0; i < count; i++) reports.push(await run(rules, Number(firstSeed) + i));
    if (count < 20) return;
    for (const field of ['events', 'merges', 'rejected', 'softFailed', 'resolutions'] as const) {
      assert.ok(total(reports, field) >= count, `the rooms hold ${field}, so that something was tested`);
    }
  });
}

test.run();
