// What a resolution reads, counted, in a room of 30,000 members: the size of the conflict, not that of the
// room.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Pdu } from '../../../src/event/pdu.js';
import { resolve } from '../../../src/room/resolution/resolve.js';
import { MapStates, changeOf, type MapRoot } from './map-states.js';
import { TestRoom } from './test-room.js';

const test = suite('cost of state resolution');
const MEMBERS = 30_000;
const ALICE = '@alice:x';

interface Crowd {
  readonly room: TestRoom;
  readonly states: MapStates;
  readonly base: MapRoot;
  readonly create: readonly string[];
}

/** A room of 30,000 members that has had two power levels events. */
function crowd(version: string): Crowd {
  const room = new TestRoom(version);
  const create = room.rules.authorisation.createIsImplied ? [] : ['$create'];
  const users = room.rules.authorisation.createIsImplied ? {} : { [ALICE]: 100 };
  const states = new MapStates();
  const add = (
    id: string,
    type: string,
    stateKey: string,
    auth: readonly string[],
    content: Pdu['content'],
  ): Pdu =>
    room.add({
      id,
      type,
      stateKey,
      sender: stateKey === '' ? ALICE : stateKey,
      auth: [...create, ...auth],
      content,
    });
  const state = [
    room.add({ id: '$create', type: 'm.room.create', sender: ALICE, content: { creator: ALICE } }),
    add('$alice', 'm.room.member', ALICE, [], { membership: 'join' }),
  ];
  add('$power1', 'm.room.power_levels', '', ['$alice'], { users });
  state.push(add('$rules', 'm.room.join_rules', '', ['$alice', '$power1'], { join_rule: 'public' }));
  const power = add('$power2', 'm.room.power_levels', '', ['$alice', '$power1'], { users });
  state.push(power);
  for (let i = 0; i < MEMBERS; i++) {
    const levels = i < MEMBERS / 2 ? '$power1' : '$power2';
    state.push(add(`$m${i}`, 'm.room.member', `@${i}:x`, [levels, '$rules'], { membership: 'join' }));
  }
  return { room, states, base: states.of(state), create };
}

/** Each fork has so many members change their profile, each fork others. */
function profileForks({ room, states, base, create }: Crowd, forks: number, changesEach: number): MapRoot[] {
  return Array.from({ length: forks }, (_, fork) => {
    const changes = Array.from({ length: changesEach }, (_, i) => {
      const n = fork * changesEach + i;
      const auth = [...create, '$power2', '$rules', `$m${n}`];
      const content = { membership: 'join', displayname: 'new' };
      const id = `$fork${forks}.${n}`;
      return room.add({ id, type: 'm.room.member', stateKey: `@${n}:x`, sender: `@${n}:x`, auth, content });
    });
    return states.update(base, changes.map(changeOf));
  });
}

function readsOf({ room, states }: Crowd, roots: readonly MapRoot[]): number {
  states.nodesRead = 0;
  room.read.clear();
  const { eventsRead } = resolve(room.rules, roots, states, room.graph);
  assert.is(eventsRead, room.read.size);
  assert.is(states.fullReads, 0);
  return states.nodesRead + room.read.size;
}

for (const version of ['10', '12']) {
  const room = crowd(version);

  test(`version ${version}: two forks with 20 conflicting entries read under 400 nodes and events`, () => {
    const reads = readsOf(room, profileForks(room, 2, 10));
    assert.ok(reads < 400, `${reads} reads`);
  });

  test(`version ${version}: 60 extremities cost less than 10 times what 2 cost with as many changes`, () => {
    const two = readsOf(room, profileForks(room, 2, 30));
    const sixty = readsOf(room, profileForks(room, 60, 1));
    assert.ok(sixty < 10 * two, `${sixty} reads against ${two}`);
  });

  test(`version ${version}: old power levels that half the room cites are known common in few looks`, () => {
    const { base, create, states } = room;
    const auth = [...create, '$alice', '$power1'];
    const topic = room.room.add({ id: '$topic', type: 'm.room.topic', sender: ALICE, auth });
    const reads = readsOf(room, [base, states.update(base, [changeOf(topic)])]);
    assert.ok(reads < 60, `${reads} reads`);
  });
}

test.run();
