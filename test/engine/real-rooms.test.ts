// Rooms that Synapse made, taken in many orders: each gives what Synapse reports, and always the same roots.
//
// What depends on arrival by specification is soft failing: it asks the current state, which grows with what
// has arrived. So the soft-failed set is Synapse's in the order in which Synapse's server A got the events; in
// other orders each soft-failed event is shown to be refused by the current state it met. The state at every
// event, and which events are rejected, depend on the graph alone.
//
//   STATEROOM_ORDERS=100 node dist/test/engine/real-rooms.test.js     so many random orders of every room

import { createHash } from 'node:crypto';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { authorise } from '../../src/room/auth/authorise.js';
import { Random } from '../../tools/generate/random.js';
import { type FixtureRoom, loadRoom, type RoomName, type StateEntry } from '../fixtures.js';

/**
 * How many random orders of each room, unless STATEROOM_ORDERS says how many of all; beside those of A and B and,
 * but for the largest, the reverse of A's.
 */
const RANDOM_ORDERS: ReadonlyArray<readonly [name: RoomName, orders: number]> = [
  ['small-v11', 24],
  ['old-v1', 20],
  ['rejects-v11', 30],
  ['reset-v10', 10],
  ['forks-v10', 8],
  ['forks-v12', 8],
  ['crowd-v11', 1],
];

/** Asked for by hand, it takes hours: then it says how far it is. */
const isLong = process.env['STATEROOM_ORDERS'] !== undefined;

/** What an order of arrival came to. Roots are of the state before and after each event. */
interface Outcome {
  readonly roots: ReadonlyMap<EventId, string>;
  readonly rejected: ReadonlySet<EventId>;
  readonly softFailed: ReadonlySet<EventId>;
}

const test = suite('rooms made by Synapse');

for (const [name, ordersByDefault] of RANDOM_ORDERS) {
  const orders = Number(process.env['STATEROOM_ORDERS'] ?? ordersByDefault);
  const room = loadRoom(name);
  const { expected } = room;
  let outcomeOfA: Outcome | undefined;

  test(`${name} in server A's order: what Synapse reports, soft-failed events too`, async () => {
    const engine = await imported(room, expected.event_ids, { isVerified: true });
    outcomeOfA = await outcome(room, engine);
    checkStates(room, engine);
    assert.equal(outcomeOfA.softFailed, new Set(expected.soft_failed_a));
    await checkDuplicates(room, engine);
    await engine.close();
  });

  const check = async (order: readonly EventId[], isVerified: boolean): Promise<void> => {
    const engine = await imported(room, order, { isVerified });
    const result = await outcome(room, engine);
    assert.equal(result.roots, outcomeOfA?.roots, 'the same roots at every event as in the order of A');
    checkSoftFailed(engine, result.softFailed);
    await engine.close();
  };

  test(`${name} in server B's order, the events that B lacks at the end: the same`, async () => {
    const seen = new Set(room.arrivalB);
    const known = new Set(expected.event_ids);
    const rest = expected.event_ids.filter((id) => !seen.has(id));
    await check([...room.arrivalB.filter((id) => known.has(id)), ...rest], true);
  });

  if (orders > 1) {
    test(`${name} from its newest event to its first: the same`, async () => {
      await check([...expected.event_ids].reverse(), false);
    });
  }

  test(`${name} in ${orders} random order${orders === 1 ? '' : 's'}: the same`, async () => {
    for (let i = 0; i < orders; i++) {
      const left = [...expected.event_ids];
      const random = new Random(name, `order ${i}`);
      await check(
        expected.event_ids.map(() => random.take(left)),
        false,
      );
      if (isLong) process.stdout.write(`${name}: random order ${i + 1} of ${orders} gives the same\n`);
    }
  });
}

/** An engine that got the events in this order, many under way at once. */
async function imported(
  room: FixtureRoom,
  order: readonly EventId[],
  { isVerified }: { readonly isVerified: boolean },
): Promise<Engine> {
  const { expected, lines, keys } = room;
  const lineOf = new Map(expected.event_ids.map((id, i) => [id, lines[i]] as const));
  const engine = await openEngine(isVerified ? { keys } : {});
  const options = { from: 'file', roomVersion: expected.room_version };
  await Promise.all(
    order.map(async (id) => {
      const line = lineOf.get(id);
      if (line === undefined) throw new Error(`no line holds ${id}`);
      const { eventId } = await engine.receive(line, options);
      assert.is(eventId, id);
    }),
  );
  await engine.core.idle();
  return engine;
}

/** Checks what every order must give, and returns what orders are compared by. */
async function outcome({ expected }: FixtureRoom, engine: Engine): Promise<Outcome> {
  const roots = new Map<EventId, string>();
  const rejected = new Set<EventId>();
  const softFailed = new Set<EventId>();
  for await (const [, { eventId, verdict }] of engine.store.events()) {
    if (verdict === 'rejected') rejected.add(eventId);
    if (verdict === 'soft_failed') softFailed.add(eventId);
  }
  for (const id of expected.event_ids) {
    roots.set(id, `${engine.stateAt(id, 'before').root} ${engine.stateAt(id, 'after').root}`);
  }
  assert.is(engine.verdicts().waiting, 0, 'nothing waits');
  assert.is(engine.verdicts().dropped, 0, 'nothing was dropped');
  assert.equal(rejected, new Set(Object.keys(expected.rejected_a)), 'rejected events');
  const { forwardExtremities } = engine.reader.room(expected.room_id);
  assert.equal(new Set(forwardExtremities), new Set(expected.forward_extremities_a), 'forward extremities');
  const current = engine.currentState(expected.room_id).sorted();
  assert.equal(
    current.map(({ type, stateKey, eventId }) => JSON.stringify([type, stateKey, eventId])).sort(),
    expected.current_state_a.map((row) => JSON.stringify(row)).sort(),
    'current state',
  );
  return { roots, rejected, softFailed };
}

/** The state before each event, entry by entry, with the size and digest that Synapse's had. */
function checkStates({ expected }: FixtureRoom, engine: Engine): void {
  const state = new Map<string, StateEntry>();
  for (const { event_id: id, unset = [], set = [], size, sha256 } of expected.state_at) {
    for (const key of unset) state.delete(JSON.stringify(key));
    for (const row of set) state.set(JSON.stringify(row.slice(0, 2)), row);
    const before = engine.stateAt(id, 'before');
    const rows = before.sorted().map(({ type, stateKey, eventId }) => [type, stateKey, eventId]);
    assert.is(before.count(), size, `size of the state before ${id}`);
    const wanted = new Set([...state.values()].map((row) => JSON.stringify(row)));
    const lacking = rows.filter((row) => !wanted.delete(JSON.stringify(row)));
    assert.equal([lacking, [...wanted]], [[], []], `state before ${id}`);
    const digest = createHash('sha256').update(JSON.stringify(rows)).digest('hex');
    assert.is(digest, sha256, `digest of the state before ${id}`);
  }
}

/** Every event once more: all are duplicates, and nothing has changed. */
async function checkDuplicates({ expected, lines }: FixtureRoom, engine: Engine): Promise<void> {
  const before = engine.reader.room(expected.room_id);
  for (const line of lines) assert.is((await engine.receive(line)).verdict, 'duplicate');
  assert.equal(engine.reader.room(expected.room_id), before);
}

/** Each soft-failed event passes by the state before it, and not by the current state that it met. */
function checkSoftFailed(engine: Engine, softFailed: Iterable<EventId>): void {
  for (const id of softFailed) {
    const { pdu, roots } = engine.reader.event(id);
    assert.ok(roots?.current, `the current state that ${id} met is noted`);
    const current = engine.reader.view(pdu.roomId, roots.current);
    const verdictBy = (view: typeof current) =>
      authorise(pdu, {
        get(type, stateKey) {
          const at = view.get(type, stateKey);
          return at === undefined ? undefined : engine.reader.event(at).pdu;
        },
      });
    assert.is(verdictBy(engine.stateAt(id, 'before')).allowed, true, `${id} by the state before it`);
    assert.is(verdictBy(current).allowed, false, `${id} by the current state`);
  }
}

test.run();
