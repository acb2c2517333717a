// What serving remembers between requests, one for each engine: members by server, bans and invites, auth chains,
// access lists, events.

import type { Engine } from '../../engine/engine.js';
import { ServerAcls } from '../inbound/server-acl.js';
import { ClockCache } from '../../lib/clock-cache.js';
import type { EventRow } from '../../store/records.js';
import { AuthChains } from './history/auth-chains.js';
import { NotedMembersOfRooms } from './noted-members.js';
import { ServerMembers } from './server-members.js';

/** Bytes of events that are kept to be given again: states at several events of a room are nearly the same. */
const TEXT_BYTES_KEPT = 32 * 1024 * 1024;
/** What a kept event takes beside its bytes, about. */
const ROW_BYTES = 400;

export interface Serving {
  readonly members: ServerMembers;
  /** Who is banned, put out, invited. */
  readonly noted: NotedMembersOfRooms;
  readonly chains: AuthChains;
  readonly acls: ServerAcls;
  /** An event by its place in the store. */
  readonly row: (seq: number) => EventRow | undefined;
}

const byEngine = new WeakMap<Engine, Serving>();

export function servingOf(engine: Engine): Serving {
  const existing = byEngine.get(engine);
  if (existing !== undefined) return existing;
  const serving = {
    members: new ServerMembers(),
    noted: new NotedMembersOfRooms(engine.store),
    chains: new AuthChains(engine.store),
    acls: new ServerAcls(engine),
    row: keptRows(engine),
  };
  byEngine.set(engine, serving);
  return serving;
}

function keptRows({ store }: Engine): Serving['row'] {
  const kept = new ClockCache<number, EventRow>(TEXT_BYTES_KEPT);
  return (seq) => {
    const known = kept.get(seq);
    if (known !== undefined) return known;
    const row = store.event(seq);
    if (row !== undefined) kept.set(seq, row, row.bytes.length + ROW_BYTES);
    return row;
  };
}
