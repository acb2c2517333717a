// Fixture rooms in an engine in memory, to be explained.

import { type Engine, openEngine } from '../../../src/engine/engine.js';
import { type FixtureRoom, loadRoom, type RoomName } from '../../fixtures.js';

/** A room, all its events received in A's order; signatures are not verified. */
export async function openRoom(
  name: RoomName,
): Promise<{ readonly engine: Engine; readonly room: FixtureRoom }> {
  const room = loadRoom(name);
  const engine = await openEngine();
  for (const line of room.lines) await engine.receive(line, { roomVersion: room.expected.room_version });
  return { engine, room };
}

/** The one of a list. */
export function only<T>(list: readonly T[]): T {
  const [first, ...rest] = list;
  if (first === undefined || rest.length > 0) throw new Error(`${list.length} where one was expected`);
  return first;
}
