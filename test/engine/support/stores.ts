// What tests of the store's maintenance share: stores full of fixture rooms, and their whole content as text.

import { type Engine, type EngineOptions, openEngine } from '../../../src/engine/engine.js';
import { createSigningKey } from '../../../src/event/signing.js';
import { KEYSPACES } from '../../../src/store/keys.js';
import { Store } from '../../../src/store/store.js';
import { loadRoom, type RoomName } from '../../fixtures.js';

/** Rooms with forks, resolutions, rejected and soft-failed events, old and new formats. */
export const VARIED_ROOMS: readonly RoomName[] = [
  'forks-v10',
  'forks-v12',
  'reset-v10',
  'rejects-v11',
  'old-v1',
];

/** Takes whole fixture rooms in, in the order in which their events arrived. */
export async function importRooms(engine: Engine, names: readonly RoomName[] = VARIED_ROOMS): Promise<void> {
  for (const name of names) {
    const { lines, rules } = loadRoom(name);
    await Promise.all(
      lines.map((line) => engine.receive(line, { from: 'file', roomVersion: rules.version })),
    );
  }
}

/** An engine in memory with fixture rooms; its store outlives it when `engine.core` is closed alone. */
export async function filledEngine(
  names: readonly RoomName[] = VARIED_ROOMS,
  options: EngineOptions = {},
): Promise<Engine> {
  const engine = await openEngine({ now: () => 1_700_000_000_000, ...options });
  await importRooms(engine, names);
  return engine;
}

/**
 * A store in memory with fixture rooms and no engine on it.
 * @param sends is there a room of this server too, in which clients sent something?
 */
export async function filledStore(
  names: readonly RoomName[] = VARIED_ROOMS,
  { sends = false } = {},
): Promise<Store> {
  const signingKey = createSigningKey('ed25519:1', new Uint8Array(32).fill(1));
  const engine = await filledEngine(names, sends ? { serverName: 'example.org', signingKey } : {});
  if (sends) await sendMessages(engine);
  await engine.core.close();
  return engine.store;
}

async function sendMessages(engine: Engine): Promise<void> {
  const sender = '@alice:example.org';
  const { roomId } = await engine.createRoom(sender);
  await engine.send(roomId, {
    type: 'm.room.member',
    sender,
    stateKey: sender,
    content: { membership: 'join' },
  });
  for (const [i, txnId] of ['one', 'two'].entries()) {
    const transaction = { deviceId: 'PHONE', txnId, key: new Uint8Array(16).fill(i + 1) };
    const content = { msgtype: 'm.text', body: txnId };
    await engine.send(roomId, { type: 'm.room.message', sender, content }, { transaction });
  }
}

const NAMES = new Map(Object.entries(KEYSPACES).map(([name, prefix]) => [prefix as number, name]));

/** Every row as a line of text, in the order of keys; one keyspace or all. */
export async function dump(store: Store, keyspace?: keyof typeof KEYSPACES): Promise<string[]> {
  const lines: string[] = [];
  for await (const [key, value] of store.database.iterator()) {
    const name = NAMES.get(key[0] as number) ?? '?';
    if (keyspace !== undefined && name !== keyspace) continue;
    lines.push(`${name} ${key.toString('hex')} ${value.toString('hex')}`);
  }
  return lines;
}

/** The lines in which two dumps differ, shortened: an assertion that prints two whole stores helps nobody. */
export function differences(before: readonly string[], after: readonly string[]): string[] {
  const old = new Set(before);
  const now = new Set(after);
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line.slice(0, 200)}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line.slice(0, 200)}`),
  ].slice(0, 10);
}

/** A copy of a store in memory, byte for byte. */
export async function copyOf(store: Store): Promise<Store> {
  const copy = await Store.open({ kind: 'memory' });
  const batch = copy.database.batch();
  for await (const [key, value] of store.database.iterator()) batch.put(key, value);
  await batch.write();
  return copy;
}

/** The code of the error that a promise ends in. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code);
    throw error;
  }
  return 'nothing was thrown';
}

/** A store whose room begins with outliers and an event whose state before was given. */
export async function givenStateStore(): Promise<Store> {
  const { lines, rules, expected } = loadRoom('small-v11');
  const whole = await filledEngine(['small-v11']);
  const join = 40;
  const eventId = expected.event_ids[join] ?? '';
  const before = [...whole.stateAt(eventId, 'before').entries()].map((entry) => entry.eventId);
  await whole.close();

  const engine = await openEngine();
  const options = { from: 'file', roomVersion: rules.version };
  for (const line of lines.slice(0, join)) await engine.receive(line, { ...options, asOutlier: true });
  for (const [i, line] of lines.slice(join).entries()) {
    await engine.receive(line, i === 0 ? { ...options, givenState: before } : options);
  }
  await engine.core.close();
  return engine.store;
}

/** Lets some batches through; for those after them the disk is full. */
export function fillDiskAfter(store: Store, batches: number): void {
  const { database } = store;
  const begin = database.batch.bind(database);
  let left = batches;
  Object.defineProperty(database, 'batch', {
    value: () => {
      const batch = begin();
      if (left-- > 0) return batch;
      const write = (): Promise<void> => Promise.reject(new Error('ENOSPC: no space left on device'));
      return Object.defineProperty(batch, 'write', { value: write });
    },
  });
}
