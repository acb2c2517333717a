// Random rooms for property tests: events that often pass the rules and often do not, and states drawn from
// them. No server could have made most of them; the definitions hold for them all the same.

import fc from 'fast-check';
import type { EventId } from '../../../src/event/ids.js';
import type { JsonObject } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import type { PlainState } from '../../reference/resolve.js';
import { TestRoom } from './test-room.js';

const USERS = ['@a:x', '@b:x', '@c:y'];

/** A room and the states to resolve. */
export interface RandomDag {
  readonly room: TestRoom;
  /** The events of each state, one a key. */
  readonly states: readonly (readonly Pdu[])[];
}

interface Draw {
  readonly kind: number;
  readonly sender: number;
  readonly target: number;
  readonly level: number;
  readonly ts: number;
  readonly auth: readonly number[];
  readonly loose: boolean;
  readonly rejected: boolean;
}

const draw: fc.Arbitrary<Draw> = fc.record({
  kind: fc.nat(9),
  sender: fc.nat(2),
  target: fc.nat(2),
  level: fc.constantFrom(0, 50, 100),
  ts: fc.nat(5),
  auth: fc.array(fc.nat(1_000), { minLength: 5, maxLength: 5 }),
  loose: fc.nat(5).map((n) => n === 0),
  rejected: fc.nat(9).map((n) => n === 0),
});

/** Rooms of a version with up to 30 events, and one to five states, some of them empty or alike. */
export function randomDag(version: string): fc.Arbitrary<RandomDag> {
  const picks = fc.array(fc.array(fc.nat(1_000), { maxLength: 12 }), { minLength: 1, maxLength: 5 });
  const common = fc.array(fc.nat(1_000), { maxLength: 8 });
  return fc
    .record({ draws: fc.array(draw, { maxLength: 30 }), picks, common })
    .map(({ draws, picks: own, common: shared }) => {
      const room = new TestRoom(version);
      room.add({ id: '$create', type: 'm.room.create', sender: '@a:x', content: { creator: '@a:x' } });
      draws.forEach((drawn, i) => addDrawn(room, drawn, i));
      const accepted = [...room.events.values()].filter((event) => !room.rejected.has(event.eventId));
      return { room, states: own.map((numbers) => stateOf(accepted, numbers, shared)) };
    });
}

function addDrawn(room: TestRoom, drawn: Draw, i: number): void {
  const sender = USERS[drawn.sender] ?? '@a:x';
  const { type, stateKey, content } = contentOf(drawn, sender);
  const earlier = [...room.events.values()];
  const cited = drawn.loose
    ? drawn.auth.slice(0, 3).map((n) => earlier[n % earlier.length])
    : keysCited(type, sender, stateKey).map(([t, k], at) => {
        const fitting = earlier.filter((event) => event.type === t && event.stateKey === k);
        return fitting[(drawn.auth[at] ?? 0) % Math.max(1, fitting.length)];
      });
  const auth = new Set(cited.flatMap((event) => (event === undefined ? [] : [event.eventId])));
  if (room.rules.authorisation.createIsImplied) auth.delete('$create' as EventId);
  const event = room.add({
    id: `$${i}`,
    type,
    stateKey,
    content,
    sender,
    ts: drawn.ts,
    auth: [...auth],
    depth: drawn.ts,
  });
  // What cites a rejected event is rejected: so the rules have it, and the search upwards rests on it.
  if (drawn.rejected || [...auth].some((id) => room.rejected.has(id))) room.rejected.add(event.eventId);
}

function contentOf(drawn: Draw, sender: string): { type: string; stateKey: string; content: JsonObject } {
  const target = USERS[drawn.target] ?? '@a:x';
  if (drawn.kind < 3) return { type: 'm.room.member', stateKey: sender, content: { membership: 'join' } };
  if (drawn.kind === 3) return { type: 'm.room.member', stateKey: target, content: { membership: 'ban' } };
  if (drawn.kind === 4) return { type: 'm.room.member', stateKey: target, content: { membership: 'leave' } };
  if (drawn.kind < 7) {
    const content = { users: { '@a:x': 100, [target]: drawn.level }, users_default: 0 };
    return { type: 'm.room.power_levels', stateKey: '', content };
  }
  if (drawn.kind === 7) {
    const rule = drawn.level === 0 ? 'invite' : 'public';
    return { type: 'm.room.join_rules', stateKey: '', content: { join_rule: rule } };
  }
  return { type: 'm.room.topic', stateKey: drawn.kind === 8 ? '' : '__proto__', content: {} };
}

function keysCited(type: string, sender: string, stateKey: string): [type: string, stateKey: string][] {
  const keys: [string, string][] = [
    ['m.room.create', ''],
    ['m.room.power_levels', ''],
    ['m.room.member', sender],
  ];
  if (type === 'm.room.member') keys.push(['m.room.join_rules', ''], ['m.room.member', stateKey]);
  return keys;
}

/** One event a key: the state's own draws win over those that all states share. */
function stateOf(events: readonly Pdu[], own: readonly number[], shared: readonly number[]): Pdu[] {
  const byKey = new Map<string, Pdu>();
  for (const n of own.length === 0 ? [] : [...shared, ...own]) {
    const event = events[n % events.length];
    if (event !== undefined) byKey.set(JSON.stringify([event.type, event.stateKey]), event);
  }
  return [...byKey.values()];
}

/** The state as the reference resolver takes it. */
export function plainOf(events: readonly Pdu[]): PlainState {
  return new Map(events.map((event) => [JSON.stringify([event.type, event.stateKey]), event.eventId]));
}
