// Which seeds a run goes through, and how to see a failed one again.

import type { RoomVersionRules } from '../../src/event/rules.js';

const [, onlyVersion, firstSeed] =
  /^(?:([0-9]+)\/)?([0-9]+)$/.exec(process.env['STATEROOM_SIM_SEED'] ?? '1') ?? [];
if (firstSeed === undefined) throw new Error('STATEROOM_SIM_SEED is a number or VERSION/NUMBER');

/** The seeds of a version's rooms. @param usual how many there are when the environment says nothing */
export function seedsOf({ version }: RoomVersionRules, usual: number): number[] {
  const rooms = Number(process.env['STATEROOM_SIM_ROOMS'] ?? usual);
  if (!Number.isSafeInteger(rooms) || rooms < 1) throw new Error('STATEROOM_SIM_ROOMS is a number above 0');
  if (onlyVersion !== undefined && onlyVersion !== version) return [];
  const count = onlyVersion === undefined ? rooms : 1;
  return Array.from({ length: count }, (_, i) => Number(firstSeed) + i);
}

/** Runs a seed; when that fails, the error says how to see it again. */
export async function replayable<Result>(
  suite: string,
  { version }: RoomVersionRules,
  seed: number,
  run: () => Promise<Result>,
): Promise<Result> {
  try {
    return await run();
  } catch (error) {
    const replay = `STATEROOM_SIM_SEED=${version}/${seed} npm test -- ${suite}`;
    if (error instanceof Error) error.message = `${error.message}\n    replay: ${replay}`;
    throw error;
  }
}
