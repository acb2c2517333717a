// What an older store lacks, made from what it holds.

import { EDGE_KINDS, edgeOf, type KeyRange, keyspaceRange, redactedKey } from './keys.js';
import type { EventRow, RoomRow } from './records.js';

/** What an upgrade needs of a store that is being opened. */
export interface UpgradedStore {
  readonly database: { keys(range: KeyRange): AsyncIterable<Buffer> };
  event(seq: number): Pick<EventRow, 'roomId'> | undefined;
  room(roomId: RoomRow['roomId']): Pick<RoomRow, 'number'> | undefined;
  putRows(keys: readonly Buffer[]): Promise<void>;
}

/** The schema before the rows in `redacted`. */
export const SCHEMA_WITHOUT_REDACTED = 1;

/**
 * Schemas whose rows all are rows of today's: before rows could say that a state is incomplete, or a verdict revised;
 * before they could say which request made an event.
 */
export const SCHEMAS_WITH_SAME_ROWS: readonly number[] = [2, 3];

const BATCH_ROWS = 1_000;

/** Makes the rows in `redacted` from the edges. Costs a scan of them; done again after a crash, it does the same. */
export async function addRedactedRows(store: UpgradedStore): Promise<void> {
  let keys: Buffer[] = [];
  for await (const key of store.database.keys(keyspaceRange('edges'))) {
    const { referredId, kind, seq } = edgeOf(key);
    if (kind !== EDGE_KINDS.redaction) continue;
    const roomId = store.event(seq)?.roomId;
    const room = roomId === undefined ? undefined : store.room(roomId);
    if (room === undefined) continue;
    keys.push(redactedKey(room.number, referredId));
    if (keys.length < BATCH_ROWS) continue;
    await store.putRows(keys);
    keys = [];
  }
  await store.putRows(keys);
}
