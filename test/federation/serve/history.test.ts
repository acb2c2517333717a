import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import * as fc from 'fast-check';
import type { EventId } from '../../../src/event/ids.js';
import { ROOM_VERSIONS } from '../../../src/event/rules.js';
import { ALICE, BOB, CAROL, itemsOf, leaf, MEMBER, ours, Resident, STRANGER, v1 } from './resident.js';

const test = suite('federation serve history');

/** Every way to ask about the history of a room at an event. */
function questions({ roomId }: Resident, at: string): [method: 'GET' | 'POST', path: string, body: object][] {
  const event = encodeURIComponent(at);
  return [
    ['GET', v1`event/${at}`, {}],
    ['GET', `${v1`state/${roomId}`}?event_id=${event}`, {}],
    ['GET', `${v1`state_ids/${roomId}`}?event_id=${event}`, {}],
    ['GET', v1`event_auth/${roomId}/${at}`, {}],
    ['GET', `${v1`backfill/${roomId}`}?v=${event}&limit=10`, {}],
    ['POST', v1`get_missing_events/${roomId}`, { latest_events: [at], earliest_events: [] }],
    ['POST', ours`state_difference/${roomId}`, { event_id: at, from: {} }],
    ['POST', ours`state_nodes/${roomId}`, { event_id: at, paths: [''] }],
    ['POST', ours`events/${roomId}`, { event_ids: [at] }],
  ];
}

const timestampOf = ({ roomId }: Resident): string => `${v1`timestamp_to_event/${roomId}`}?ts=0&dir=f`;

test('a server with a joined member may ask everything', async () => {
  const at = await Resident.open();
  await at.room();
  const { eventId } = await at.say(ALICE, 'hello');
  for (const [method, path, body] of questions(at, eventId)) await at.answer(MEMBER, method, path, body);
  await at.answer(MEMBER, 'GET', timestampOf(at));
  await at.close();
});

test('a server with nobody in the room is told nothing: 403, whether the event is there or not', async () => {
  const at = await Resident.open();
  await at.room();
  const { eventId } = await at.say(ALICE, 'hello');
  for (const id of [eventId, '$nothing']) {
    for (const [method, path, body] of questions(at, id)) {
      await at.refused([403, 'M_FORBIDDEN'], STRANGER, method, path, body);
    }
  }
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', timestampOf(at));
  const unknown = v1`state_ids/${'!nowhere:alpha.test'}`;
  await at.refused([403, 'M_FORBIDDEN'], STRANGER, 'GET', `${unknown}?event_id=$x`);
  await at.close();
});

test('a server whose only member is banned may ask about what was before, the ban among it, and no more', async () => {
  const at = await Resident.open();
  await at.room();
  const before = await at.say(ALICE, 'hello');
  const ban = await at.member(ALICE, BOB, 'ban');
  const after = await at.say(ALICE, 'he is gone');
  for (const { eventId } of [before, ban]) {
    for (const [method, path, body] of questions(at, eventId)) await at.answer(MEMBER, method, path, body);
  }
  for (const [method, path, body] of questions(at, after.eventId)) {
    await at.refused([403, 'M_FORBIDDEN'], MEMBER, method, path, body);
  }
  await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'GET', timestampOf(at));
  await at.close();
});

test('a server that the access list denies is refused, member or not', async () => {
  const at = await Resident.open();
  await at.room();
  const { eventId } = await at.state('m.room.server_acl', { allow: ['*'], deny: [MEMBER] });
  for (const [method, path, body] of questions(at, eventId)) {
    await at.refused([403, 'M_FORBIDDEN'], MEMBER, method, path, body);
  }
  await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'GET', timestampOf(at));
  await at.close();
});

test('records of this server are in no room that others may name', async () => {
  const at = await Resident.open();
  await at.room();
  const internal = at.engine.store;
  for await (const [, row] of internal.events()) {
    if (row.roomVersion !== 'stateroom.internal') continue;
    await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'GET', v1`event/${row.eventId}`);
    const path = `${v1`state_ids/${row.roomId}`}?event_id=${encodeURIComponent(row.eventId)}`;
    await at.refused([403, 'M_FORBIDDEN'], MEMBER, 'GET', path);
  }
  await at.close();
});

for (const { version } of ROOM_VERSIONS) {
  test(`version ${version}: the state is that before the event, with the whole auth chain, by ids and in full`, async () => {
    const at = await Resident.open(version);
    const roomId = await at.room();
    const name = await at.state('m.room.name', { name: 'one' });
    await at.member(ALICE, CAROL, 'invite');
    await at.join(CAROL);
    const second = await at.state('m.room.name', { name: 'two' });
    for (const { eventId } of [name, second]) {
      const ids = await at.answer(
        MEMBER,
        'GET',
        `${v1`state_ids/${roomId}`}?event_id=${encodeURIComponent(eventId)}`,
      );
      const expected = [...at.engine.stateAt(eventId, 'before').entries()].map((entry) => entry.eventId);
      assert.equal(itemsOf(ids['pdu_ids']).map(leaf).sort(), expected.sort());
      assert.equal(itemsOf(ids['auth_chain_ids']).map(leaf).sort(), at.chainOf(expected));
      const full = await at.answer(
        MEMBER,
        'GET',
        `${v1`state/${roomId}`}?event_id=${encodeURIComponent(eventId)}`,
      );
      assert.equal(at.idsOf(full['pdus']).sort(), expected.sort());
      assert.equal(at.idsOf(full['auth_chain']).sort(), at.chainOf(expected));
      const auth = await at.answer(MEMBER, 'GET', v1`event_auth/${roomId}/${eventId}`);
      assert.equal(at.idsOf(auth['auth_chain']).sort(), at.chainOf([eventId]));
    }
    await at.close();
  });
}

test('states of a room asked in any order, at once and again, have each their own auth chain', async () => {
  const at = await Resident.open('10');
  const roomId = await at.room();
  const ids: EventId[] = [];
  const note = ({ eventId }: { eventId: EventId }): unknown => ids.push(eventId);
  for (const round of [1, 2, 3]) {
    note(await at.member(ALICE, CAROL, 'invite'));
    note(await at.join(CAROL));
    note(await at.state('m.room.power_levels', { users: { [ALICE]: 100, [BOB]: round } }));
    note(await at.member(CAROL, CAROL, 'leave'));
    note(await at.state('m.room.join_rules', { join_rule: round % 2 === 0 ? 'public' : 'invite' }));
  }
  const asked = fc.array(fc.array(fc.constantFrom(...ids), { minLength: 1, maxLength: 3 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(asked, async (turns) => {
      for (const turn of turns) {
        const answers = turn.map(async (id) => {
          const path = `${v1`state_ids/${roomId}`}?event_id=${encodeURIComponent(id)}`;
          const answer = await at.answer(MEMBER, 'GET', path);
          const expected = [...at.engine.stateAt(id, 'before').entries()].map((entry) => entry.eventId);
          assert.equal(itemsOf(answer['pdu_ids']).map(leaf).sort(), expected.sort());
          assert.equal(itemsOf(answer['auth_chain_ids']).map(leaf).sort(), at.chainOf(expected));
        });
        await Promise.all(answers);
      }
    }),
    { numRuns: 20 },
  );
  await at.close();
});

test('an event is served byte for byte as it was signed, with who serves it', async () => {
  const at = await Resident.open();
  await at.room();
  const pdu = await at.say(BOB, 'héllo "there"');
  const answer = await at.answer(MEMBER, 'GET', v1`event/${pdu.eventId}`);
  assert.is(leaf(answer['origin']), 'alpha.test');
  assert.equal(answer['pdus'], [pdu.json]);
  await at.close();
});

test('a redacted event is served in redacted form, wherever it is served', async () => {
  const at = await Resident.open('11');
  const roomId = await at.room();
  const name = await at.state('m.room.name', { name: 'secret' });
  await at.send({
    type: 'm.room.redaction',
    sender: ALICE,
    content: { redacts: name.eventId },
    redacts: name.eventId,
  });
  const last = await at.say(ALICE, 'done');
  for (const [method, path, body] of questions(at, last.eventId)) {
    const answer = await at.answer(MEMBER, method, path, body);
    assert.not(JSON.stringify(answer).includes('secret'), path);
  }
  const full = await at.answer(
    MEMBER,
    'GET',
    `${v1`state/${roomId}`}?event_id=${encodeURIComponent(last.eventId)}`,
  );
  assert.ok(at.idsOf(full['pdus']).includes(name.eventId), 'its id is the same all the same');
  await at.close();
});

test('history that a server may not see is served redacted: it holds the graph together', async () => {
  const at = await Resident.open();
  await at.room([['m.room.history_visibility', { history_visibility: 'joined' }]]);
  const hidden = await at.say(ALICE, 'secret');
  await at.join(CAROL);
  const seen = await at.say(ALICE, 'open');
  const backfill = (origin: typeof MEMBER) =>
    at.answer(origin, 'GET', `${v1`backfill/${at.roomId}`}?v=${encodeURIComponent(seen.eventId)}&limit=100`);
  const late = JSON.stringify(await backfill(STRANGER));
  assert.not(late.includes('secret'));
  assert.ok(late.includes('open'));
  assert.ok(at.idsOf((await backfill(STRANGER))['pdus']).includes(hidden.eventId));
  assert.ok(JSON.stringify(await backfill(MEMBER)).includes('secret'), 'who was in the room sees it');
  const single = await at.answer(STRANGER, 'GET', v1`event/${hidden.eventId}`);
  assert.not(JSON.stringify(single).includes('secret'));
  await at.close();
});

test('with visibility shared, a server that joins later sees what was said before; with invited, from the invite on', async () => {
  for (const [visibility, expected] of [
    ['shared', ['before', 'invited', 'joined']],
    ['world_readable', ['before', 'invited', 'joined']],
    ['invited', ['invited', 'joined']],
    ['joined', ['joined']],
  ] as const) {
    const at = await Resident.open();
    await at.room([['m.room.history_visibility', { history_visibility: visibility }]]);
    await at.say(ALICE, 'before');
    await at.member(ALICE, CAROL, 'invite');
    await at.say(ALICE, 'invited');
    await at.join(CAROL);
    const last = await at.say(ALICE, 'joined');
    const path = `${v1`backfill/${at.roomId}`}?v=${encodeURIComponent(last.eventId)}&limit=100`;
    const answer = await at.answer(STRANGER, 'GET', path);
    const bodies = itemsOf(answer['pdus']).flatMap(({ content }) =>
      content?.['body'] === undefined ? [] : [leaf(content['body'])],
    );
    assert.equal(bodies.reverse(), expected, visibility);
    await at.close();
  }
});

test('backfill gives the events named and those before them, newest first, as many as asked', async () => {
  const at = await Resident.open();
  await at.room();
  const said: EventId[] = [];
  for (let i = 0; i < 6; i++) said.push((await at.say(ALICE, `message ${i}`)).eventId);
  const from = encodeURIComponent(said[5] ?? '');
  const answer = await at.answer(MEMBER, 'GET', `${v1`backfill/${at.roomId}`}?v=${from}&limit=4`);
  assert.equal(at.idsOf(answer['pdus']), said.slice(2).reverse());
  await at.refused([400, 'M_MISSING_PARAM'], MEMBER, 'GET', `${v1`backfill/${at.roomId}`}?v=${from}`);
  await at.refused([400, 'M_MISSING_PARAM'], MEMBER, 'GET', `${v1`backfill/${at.roomId}`}?limit=4`);
  await at.refused([400, 'M_INVALID_PARAM'], MEMBER, 'GET', `${v1`backfill/${at.roomId}`}?v=${from}&limit=x`);
  const many = await at.answer(MEMBER, 'GET', `${v1`backfill/${at.roomId}`}?v=${from}&limit=1000000`);
  assert.is(itemsOf(many['pdus']).length, 11, 'the room from its beginning');
  await at.close();
});

test('missing events are those between, without the ends, oldest first, at most 20', async () => {
  const at = await Resident.open();
  await at.room();
  const said: EventId[] = [];
  for (let i = 0; i < 30; i++) said.push((await at.say(ALICE, `message ${i}`)).eventId);
  const missing = async (body: object): Promise<EventId[]> =>
    at.idsOf((await at.answer(MEMBER, 'POST', v1`get_missing_events/${at.roomId}`, body))['events']);
  const ends = { earliest_events: [said[3]], latest_events: [said[8]] };
  assert.equal(await missing(ends), said.slice(4, 8));
  assert.equal(await missing({ ...ends, limit: 2 }), said.slice(6, 8), 'the nearest to the latest');
  assert.equal(await missing({ latest_events: [said[29]], limit: 9_999 }), said.slice(9, 29));
  assert.equal((await missing({ latest_events: [said[29]] })).length, 10, '10 where nobody says');
  const depth = at.engine.reader.event(said[6] ?? '').pdu.depth;
  assert.equal(await missing({ ...ends, min_depth: depth }), said.slice(6, 8));
  assert.equal(await missing({ earliest_events: [said[8]], latest_events: [said[8]] }), []);
  assert.equal(await missing({ earliest_events: [], latest_events: ['$unknown'] }), []);
  await at.close();
});

test('the event nearest to a moment is found in both directions', async () => {
  const at = await Resident.open();
  await at.room();
  const said = [];
  for (let i = 0; i < 20; i++) {
    at.tick(1_000);
    said.push(await at.say(ALICE, `message ${i}`));
  }
  for (const [i, pdu] of said.entries()) {
    const near = async (ts: number, dir: string): Promise<string> => {
      const path = `${v1`timestamp_to_event/${at.roomId}`}?ts=${ts}&dir=${dir}`;
      return leaf((await at.answer(MEMBER, 'GET', path))['event_id']);
    };
    assert.is(await near(pdu.originServerTs - 10, 'f'), pdu.eventId, `forwards to ${i}`);
    assert.is(await near(pdu.originServerTs + 10, 'b'), pdu.eventId, `backwards to ${i}`);
    assert.is(await near(pdu.originServerTs, 'f'), pdu.eventId);
  }
  const late = (said.at(-1)?.originServerTs ?? 0) + 1;
  const path = v1`timestamp_to_event/${at.roomId}`;
  await at.refused([404, 'M_NOT_FOUND'], MEMBER, 'GET', `${path}?ts=${late}&dir=f`);
  await at.refused([404, 'M_NOT_FOUND'], MEMBER, 'GET', `${path}?ts=0&dir=b`);
  await at.refused([400, 'M_INVALID_PARAM'], MEMBER, 'GET', `${path}?ts=0&dir=x`);
  await at.refused([400, 'M_MISSING_PARAM'], MEMBER, 'GET', `${path}?dir=f`);
  await at.close();
});

test('the state at an event that is not known is 404 for a member', async () => {
  const at = await Resident.open();
  const roomId = await at.room();
  await at.refused([404, 'M_NOT_FOUND'], MEMBER, 'GET', `${v1`state_ids/${roomId}`}?event_id=$nothing`);
  await at.refused([400, 'M_MISSING_PARAM'], MEMBER, 'GET', v1`state_ids/${roomId}`);
  await at.close();
});

test.run();
