// The rooms and resolutions in test/fixtures, read for tests.

import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { EventId, RoomId, ServerName } from '../src/event/ids.js';
import { rulesOf, type RoomVersionRules } from '../src/event/rules.js';

/** Folder of the fixtures, seen from a compiled test, wherever the compiler put it. */
const FIXTURES = new URL('../../test/fixtures/', import.meta.url);

export const ROOM_NAMES = [
  'small-v11',
  'forks-v10',
  'forks-v12',
  'reset-v10',
  'rejects-v11',
  'old-v1',
  'crowd-v11',
] as const;
export type RoomName = (typeof ROOM_NAMES)[number];

/** One entry of a state: type, state key, event. */
export type StateEntry = readonly [type: string, stateKey: string, eventId: EventId];

/** The state before an event, as the difference from the entry before it in the list. */
export interface ExpectedStateAt {
  readonly event_id: EventId;
  readonly unset?: ReadonlyArray<readonly [type: string, stateKey: string]>;
  readonly set?: readonly StateEntry[];
  readonly size: number;
  /** Of the JSON list of all entries, sorted, without spaces. */
  readonly sha256: string;
}

/** What Synapse made of a room. The fields of B are null where there is one server. */
export interface ExpectedRoom {
  readonly room_id: RoomId;
  readonly room_version: string;
  readonly servers: readonly ServerName[];
  readonly server_a: ServerName;
  readonly server_b: ServerName | null;
  /** By line of events.jsonl. */
  readonly event_ids: readonly EventId[];
  readonly stream_ordering_a: readonly number[];
  readonly forward_extremities_a: readonly EventId[];
  readonly forward_extremities_b: readonly EventId[] | null;
  readonly current_state_a: readonly StateEntry[];
  readonly current_state_b: readonly StateEntry[] | null;
  /** Event to reason. */
  readonly rejected_a: Readonly<Record<string, string>>;
  readonly rejected_b: Readonly<Record<string, string>>;
  readonly soft_failed_a: readonly EventId[];
  readonly soft_failed_b: readonly EventId[];
  readonly outliers_a: readonly EventId[];
  readonly outliers_b: readonly EventId[];
  readonly only_at_a: readonly EventId[];
  readonly only_at_b: readonly EventId[];
  readonly merges: readonly EventId[];
  readonly forks: readonly EventId[];
  readonly state_at: readonly ExpectedStateAt[];
}

/** One of the rooms. */
export interface FixtureRoom {
  readonly dir: URL;
  readonly rules: RoomVersionRules;
  /** The bytes of each event, in A's order of arrival. */
  readonly lines: readonly Uint8Array[];
  /** The public key, as `PublicKeys` gives it. */
  readonly keys: (server: string, keyId: string) => Uint8Array | undefined;
  readonly expected: ExpectedRoom;
  /** Event ids in B's order of arrival. */
  readonly arrivalB: readonly EventId[];
}

/** Reads one of the rooms. */
export function loadRoom(name: RoomName): FixtureRoom {
  const dir = new URL(`rooms/${name}/`, FIXTURES);
  const expected = readJson(dir, 'expected.json') as ExpectedRoom;
  const rules = rulesOf(expected.room_version);
  if (rules === undefined) throw new Error(`no rules for room version ${expected.room_version}`);
  const keys = new Map<string, Uint8Array>();
  const servers = readJson(dir, 'keys.json') as Record<string, Record<string, string>>;
  for (const [server, ofServer] of Object.entries(servers)) {
    for (const [keyId, key] of Object.entries(ofServer))
      keys.set(`${server} ${keyId}`, Buffer.from(key, 'base64'));
  }
  return {
    dir,
    rules,
    lines: readLines(dir, 'events.jsonl'),
    keys: (server, keyId) => keys.get(`${server} ${keyId}`),
    expected,
    arrivalB: readJson(dir, 'arrival-b.json') as EventId[],
  };
}

/** The lines of a fixture, gzipped or not; `path` is below test/fixtures and does not say `.gz`. */
export function loadLines(path: string): Uint8Array[] {
  return readLines(FIXTURES, path);
}

function readJson(dir: URL, file: string): unknown {
  return JSON.parse(readBytes(dir, file).toString('utf8'));
}

function readLines(dir: URL, file: string): Uint8Array[] {
  const bytes = readBytes(dir, file);
  const lines: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline;
    if (end > start) lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

function readBytes(dir: URL, file: string): Buffer {
  const plain = new URL(file, dir);
  if (existsSync(plain)) return readFileSync(plain);
  return gunzipSync(readFileSync(new URL(`${file}.gz`, dir)));
}
