// Parts of a state: what is given is how it differs from another, its tree node by node, and events of the room as
// the server that asks may see them.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../../src/event/ids.js';
import { ROOM_VERSIONS } from '../../../src/event/rules.js';
import {
  decodeStateDifference,
  decodeStateNodes,
  type StateDifference,
  type StateNodes,
} from '../../../src/federation/state-parts.js';
import { fromHex, toHex } from '../../../src/lib/bytes.js';
import { isTreeKey, positionOf } from '../../../src/room/state/key.js';
import { idOfValue } from '../../../src/room/state/value.js';
import { readPatch } from '../../../src/tree/patch.js';
import { EMPTY_ROOT } from '../../../src/tree/tree.js';
import { ALICE, BOB, CAROL, itemsOf, leaf, MEMBER, ours, Resident, STRANGER, v1 } from './resident.js';

const test = suite('federation serve state parts');

async function nodesOf(at: Resident, eventId: EventId, paths: readonly string[]): Promise<StateNodes> {
  const answer = await at.answer(MEMBER, 'POST', ours`state_nodes/${at.roomId}`, {
    event_id: eventId,
    paths,
  });
  const decoded = decodeStateNodes(fromHex(leaf(answer['octets'])) ?? new Uint8Array(), paths.length);
  assert.ok(decoded);
  return decoded;
}

for (const { version } of ROOM_VERSIONS) {
  test(`version ${version}: a walk over the nodes gives the state before the event`, async () => {
    const at = await Resident.open(version);
    await at.room();
    for (let i = 0; i < 40; i++) await at.state('x.note', { i }, `${i}`);
    const { eventId } = await at.state('m.room.name', { name: 'after' });
    const { root } = await nodesOf(at, eventId, []);
    const walk = at.engine.reader.tree.walkRemote(EMPTY_ROOT, root, {
      isKey: isTreeKey,
      entriesMax: 1_000,
      nodesMax: 1_000,
      bytesMax: 1e6,
    });
    while (!walk.isDone) {
      const paths = walk.next(3).map(({ path }) => path);
      const answer = await nodesOf(at, eventId, paths);
      assert.is(answer.nodes.length, paths.length);
      for (const [i, path] of paths.entries()) walk.take(path, answer.nodes[i] ?? new Uint8Array());
    }
    const before = at.engine.stateAt(eventId, 'before');
    assert.is(toHex(root), before.root);
    const ids = [...walk.differences()].flatMap(({ after }) =>
      after ? idOfValue(after.value, at.rules) : [],
    );
    assert.equal(ids.sort(), [...before.entries()].map((entry) => entry.eventId).sort());
    await at.close();
  });
}

async function differenceOf(
  at: Resident,
  eventId: EventId,
  from: Readonly<Record<string, string>>,
): Promise<StateDifference> {
  const answer = await at.answer(MEMBER, 'POST', ours`state_difference/${at.roomId}`, {
    event_id: eventId,
    from,
  });
  const decoded = decodeStateDifference(fromHex(leaf(answer['octets'])) ?? new Uint8Array());
  assert.ok(decoded);
  return decoded;
}

test('the difference is that to a state which both know by its root, from whichever event named', async () => {
  const at = await Resident.open('11');
  await at.room();
  const early = await at.state('x.note', { i: 1 });
  await at.state('x.note', { i: 2 });
  const { eventId } = await at.say(ALICE, 'hello');
  const { reader } = at.engine;
  const [from, to] = [at.engine.stateAt(early.eventId), at.engine.stateAt(eventId, 'before')];
  const named = { $nothing: 'x', [eventId]: 'no root', [early.eventId]: from.root };
  const { root, from: answered, patch } = await differenceOf(at, eventId, named);
  assert.is(toHex(root), to.root);
  assert.equal(answered && toHex(answered), from.root);
  const changes = readPatch(patch, { positionOf, isKey: isTreeKey });
  assert.is(changes.length, 1);
  assert.is(toHex(reader.tree.hashAfter(from.rootRef, changes)), to.root);
  await at.close();
});

test('without a state that both know the root alone is told, and no state of another room is known', async () => {
  const at = await Resident.open('11');
  await at.room();
  const elsewhere = await at.say(ALICE, 'elsewhere');
  await at.room();
  const { eventId } = await at.say(ALICE, 'hello');
  const other = { [elsewhere.eventId]: at.engine.stateAt(elsewhere.eventId).root };
  for (const from of [{}, other]) {
    const { root, from: answered, patch } = await differenceOf(at, eventId, from);
    assert.is(toHex(root), at.engine.stateAt(eventId, 'before').root);
    assert.is(answered, undefined);
    assert.is(patch.length, 0);
  }
  const path = ours`state_difference/${at.roomId}`;
  await at.refused([400, 'M_BAD_JSON'], MEMBER, 'POST', path, { event_id: eventId, from: [] });
  await at.refused([400, 'M_MISSING_PARAM'], MEMBER, 'POST', path, { from: {} });
  await at.close();
});

test('where there is no node nothing is given in its place, and no more than so many are given', async () => {
  const at = await Resident.open();
  await at.room();
  const { eventId } = await at.say(ALICE, 'hello');
  const { nodes } = await nodesOf(at, eventId, ['', '0123', '']);
  assert.equal(
    nodes.map((node) => node?.length ?? 0),
    [nodes[0]?.length, 0, nodes[0]?.length],
  );
  assert.is((await nodesOf(at, eventId, Array<string>(600).fill(''))).nodes.length, 512);
  await at.close();
});

test('questions of the wrong form are refused', async () => {
  const at = await Resident.open();
  await at.room();
  const { eventId } = await at.say(ALICE, 'hello');
  const path = ours`state_nodes/${at.roomId}`;
  const body = { event_id: eventId, paths: [''] };
  await at.refused([400, 'M_MISSING_PARAM'], MEMBER, 'POST', path, { paths: [''] });
  await at.refused([400, 'M_BAD_JSON'], MEMBER, 'POST', path, { ...body, event_id: 1 });
  await at.refused([400, 'M_BAD_JSON'], MEMBER, 'POST', path, { ...body, paths: '' });
  await at.refused([400, 'M_BAD_JSON'], MEMBER, 'POST', path, { ...body, paths: [0] });
  for (const wrong of ['x', '0 ', 'A', '0'.repeat(33)]) {
    await at.refused([400, 'M_INVALID_PARAM'], MEMBER, 'POST', path, { ...body, paths: [wrong] });
  }
  await at.refused([404, 'M_NOT_FOUND'], MEMBER, 'POST', path, { ...body, event_id: '$nothing' });
  await at.refused([400, 'M_BAD_JSON'], MEMBER, 'POST', ours`events/${at.roomId}`, { event_ids: {} });
  await at.close();
});

test('events are given each once, without those that are not known or not of the room', async () => {
  const at = await Resident.open('11');
  const elsewhere = await at.room();
  const other = await at.say(ALICE, 'elsewhere');
  const roomId = await at.room();
  const said = await at.say(ALICE, 'hello');
  const ids = [said.eventId, said.eventId, other.eventId, '$nothing', ''];
  const answer = await at.answer(MEMBER, 'POST', ours`events/${roomId}`, { event_ids: ids });
  assert.equal(at.idsOf(answer['pdus']), [said.eventId]);
  const there = await at.answer(MEMBER, 'POST', ours`events/${elsewhere}`, { event_ids: ids });
  assert.equal(at.idsOf(there['pdus']), [other.eventId]);
  const none = await at.answer(MEMBER, 'POST', ours`events/${roomId}`, {});
  assert.equal(itemsOf(none['pdus']), []);
  await at.close();
});

test('events are given as each would be alone: what the server may not see in redacted form', async () => {
  const at = await Resident.open('11');
  await at.room([['m.room.history_visibility', { history_visibility: 'joined' }]]);
  const before = await at.say(ALICE, 'before Carol came');
  await at.join(CAROL);
  const after = await at.say(BOB, 'after');
  const path = ours`events/${at.roomId}`;
  const ids = [before.eventId, after.eventId];
  const { pdus } = await at.answer(STRANGER, 'POST', path, { event_ids: ids });
  for (const [i, id] of ids.entries()) {
    const alone = await at.answer(STRANGER, 'GET', v1`event/${id}`);
    assert.equal(itemsOf(pdus)[i], itemsOf(alone['pdus'])[0]);
  }
  assert.equal(itemsOf(pdus)[0]?.['content'], {});
  assert.equal(at.idsOf(pdus), ids);
  await at.close();
});

test('an answer with events ends when it is full, and who asks for the rest gets it', async () => {
  const at = await Resident.open('11');
  await at.room();
  const ids: EventId[] = [];
  for (let i = 0; i < 90; i++) ids.push((await at.say(ALICE, 'x'.repeat(60_000))).eventId);
  const path = ours`events/${at.roomId}`;
  const first = at.idsOf((await at.answer(MEMBER, 'POST', path, { event_ids: ids }))['pdus']);
  assert.ok(first.length > 60 && first.length < 80, `${first.length} events`);
  const rest = ids.filter((id) => !first.includes(id));
  assert.equal(at.idsOf((await at.answer(MEMBER, 'POST', path, { event_ids: rest }))['pdus']), rest);
  await at.close();
});

test.run();
