// What must hold of a simulated room once every server has every event.
//
// Invariants, on each server:
// 1. nothing waits, nothing was lost: it knows every event
// 2. every event has the state before and after it, and is rejected or not, as the model says
// 3. equal states have equal roots, here and on every other server, and unequal states unequal ones
// 4. verdicts (soft failing with them), forward extremities and current state are what the model gives for this
//    server's order of arrival
// 5. so servers with equal extremities have equal current states

import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { StateView } from '../../src/reader/state-view.js';
import type { PlainState } from '../reference/resolve.js';
import { PlainRoom } from './plain-room.js';
import type { TestServer } from './test-server.js';

/** What a simulated room held, so that a test can see that it tested something. */
export interface RoomReport {
  readonly events: number;
  readonly merges: number;
  readonly rejected: number;
  readonly softFailed: number;
  readonly resolutions: number;
}

export async function checkRoom(
  servers: readonly TestServer[],
  events: ReadonlyMap<EventId, Pdu>,
): Promise<RoomReport> {
  const [first] = servers;
  if (first === undefined) throw new Error('a room has a server');
  const plain = new PlainRoom(first.rules);
  const order = await arrivalOrder(first);
  for (const id of order) plain.add(first.known(id).pdu);
  const roots = new Roots();
  let softFailed = 0;
  for (const server of servers) {
    assert.is(server.engine.verdicts().waiting, 0, `${server.name}: nothing waits`);
    assert.equal(
      new Set(await arrivalOrder(server)),
      new Set(events.keys()),
      `${server.name}: has every event`,
    );
    for (const id of order) checkEvent(server, plain, id, roots);
    softFailed += await checkArrival(server, plain, roots);
  }
  checkAgreement(servers);
  return {
    events: events.size,
    merges: [...events.values()].filter(({ prevEvents }) => prevEvents.length > 1).length,
    rejected: plain.rejected.size,
    softFailed,
    resolutions: plain.resolutions,
  };
}

async function arrivalOrder(server: TestServer): Promise<EventId[]> {
  const order: EventId[] = [];
  for await (const [, row] of server.engine.store.events()) order.push(row.eventId);
  return order;
}

function checkEvent(server: TestServer, plain: PlainRoom, id: EventId, roots: Roots): void {
  const { before, after, isRejected } = plain.at(id);
  const { engine, name } = server;
  const verdict = engine.reader.event(id).verdict;
  assert.is(verdict === 'rejected', isRejected, `${name}: is ${id} rejected?`);
  roots.check(engine.stateAt(id, 'before'), before, `${name}: state before ${id}`);
  roots.check(engine.stateAt(id, 'after'), after, `${name}: state after ${id}`);
}

async function checkArrival(server: TestServer, plain: PlainRoom, roots: Roots): Promise<number> {
  const { engine, name, roomId } = server;
  const expected = plain.arrive(await arrivalOrder(server));
  for (const [id, verdict] of expected.verdicts) {
    assert.is(engine.reader.event(id).verdict, verdict, `${name}: verdict of ${id}`);
  }
  const room = engine.reader.room(roomId);
  assert.equal(new Set(room.forwardExtremities), expected.extremities, `${name}: forward extremities`);
  roots.check(engine.currentState(roomId), expected.current, `${name}: current state`);
  const counts = [...expected.verdicts.values()];
  const softFailed = counts.filter((verdict) => verdict === 'soft_failed').length;
  assert.is(room.events, counts.length, `${name}: count of events`);
  assert.is(room.softFailed, softFailed, `${name}: count of soft-failed events`);
  return softFailed;
}

function checkAgreement(servers: readonly TestServer[]): void {
  const rootByExtremities = new Map<string, string>();
  for (const { engine, roomId } of servers) {
    const extremities = engine.reader.room(roomId).forwardExtremities.join(' ');
    const { root } = engine.currentState(roomId);
    assert.is(root, rootByExtremities.get(extremities) ?? root, 'equal extremities, equal current state');
    rootByExtremities.set(extremities, root);
  }
}

/** Which root stands for which state: one each, on all servers. */
class Roots {
  readonly #rootOf = new Map<PlainState, string>();
  readonly #stateOf = new Map<string, PlainState>();

  check(view: StateView, state: PlainState, claim: string): void {
    const { root } = view;
    if (this.#rootOf.get(state) === root) return;
    assert.equal(rowsOf(view), [...state].map((row) => JSON.stringify(row)).sort(), claim);
    assert.is(this.#rootOf.get(state), undefined, `${claim}: the root that this state had before`);
    assert.is(this.#stateOf.get(root), undefined, `${claim}: a root of its own`);
    this.#rootOf.set(state, root);
    this.#stateOf.set(root, state);
  }
}

function rowsOf(view: StateView): string[] {
  return [...view.entries()]
    .map(({ type, stateKey, eventId }) => JSON.stringify([JSON.stringify([type, stateKey]), eventId]))
    .sort();
}
